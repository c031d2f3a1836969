/**
 * Five nights of a country of relays under random faults, seed after seed: hours, where `npm test` takes a few small ones.
 *
 *   node --max-semi-space-size=64 scripts/relay-fleets.ts [--seeds 1000] [--from 1] [--step 1] [--agents 50] [--hardship center-away]
 *
 * --step 2 does every second one, for two cores. Hardships are moving (machines), center-away (for a week), relay-lost (for ever) and hostile-relay.
 */
import { parseArgs } from 'node:util';
import type { HardshipName } from '../test/crash/hardships.ts';
import { RelayNights } from '../test/crash/relay-nights.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    step: { type: 'string', default: '1' },
    agents: { type: 'string', default: '50' },
    hardship: { type: 'string', default: 'none' },
  },
});
const [seeds, from, step, agents] = [values.seeds, values.from, values.step, values.agents].map(Number) as [
  number,
  number,
  number,
  number,
];
let failures = 0;
let runs = 0;
for (let seed = from; seed < from + seeds; seed += step) {
  const started = performance.now();
  const nights = new RelayNights(seed, { agents, hardship: values.hardship as HardshipName });
  await nights.run().catch((error: unknown) => {
    failures++;
    console.log(`FAILED: seed ${seed}:`, error);
  });
  runs++;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`seed ${seed}: ${seconds} s ${JSON.stringify(nights.counts)}`);
}
console.log(`${runs} seeds of ${agents} agents (${values.hardship}), ${failures} failures`);
process.exitCode = failures === 0 ? 0 : 1;
