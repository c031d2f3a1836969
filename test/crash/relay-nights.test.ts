import { test } from 'node:test';
import { RelayNights } from './relay-nights.ts';

const FIRST = Number(process.env['SEED'] ?? 1);
const SEEDS = Number(process.env['SEEDS'] ?? 1);
const AGENTS = Number(process.env['AGENTS'] ?? 3);

for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
  test(`P1, P2, P3, P5, P6: five nights of relays, seed ${seed}, ${AGENTS} agents`, async (t) => {
    const nights = new RelayNights(seed, { agents: AGENTS });
    await nights.run();
    t.diagnostic(JSON.stringify(nights.counts));
  });
}
