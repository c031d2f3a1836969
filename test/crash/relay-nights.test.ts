import { test } from 'node:test';
import type { HardshipName } from './hardships.ts';
import { RelayNights } from './relay-nights.ts';

const FIRST = Number(process.env['SEED'] ?? 1);
const SEEDS = Number(process.env['SEEDS'] ?? 1);
const AGENTS = Number(process.env['AGENTS'] ?? 3);

const hardships = (seed: number): readonly HardshipName[] => [
  seed % 2 === 0 ? 'none' : 'moving',
  'center-away',
  'relay-lost',
  'hostile-relay',
];

for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
  for (const hardship of hardships(seed)) {
    const title = `P1, P2, P3, P5, P6: five nights of relays, seed ${seed}, ${AGENTS} agents, hardship: ${hardship}`;
    test(title, async (t) => {
      const nights = new RelayNights(seed, { agents: AGENTS, hardship });
      await nights.run();
      t.diagnostic(JSON.stringify(nights.counts));
    });
  }
}
