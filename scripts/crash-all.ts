/**
 * The seed's night with a power loss before and after every operation: minutes, where `npm test` takes a sample.
 *
 *   node scripts/crash-all.ts [SEED] [PART/PARTS]      PART/PARTS such as 1/2 does every second one, for two cores
 */
import { countOperations, crashAt } from '../test/crash/seed-night.ts';

const [seed = 'night', share = '1/1'] = process.argv.slice(2);
const [part, parts] = share.split('/').map(Number) as [number, number];
const { from, to } = await countOperations(seed);
console.log(`seed ${seed}: ${to - from} operations, part ${share}`);
let runs = 0;
let failures = 0;
for (let index = from + part - 1; index < to; index += parts) {
  for (const when of ['before', 'after'] as const) {
    runs++;
    await crashAt(seed, index, when).catch((error: unknown) => {
      failures++;
      console.log(`FAILED: crash ${when} operation ${index}:`, error);
    });
  }
  if ((index - from) % 100 === 0) console.log(`${index - from} of ${to - from}, ${failures} failures`);
}
console.log(`${runs} runs, ${failures} failures`);
process.exitCode = failures === 0 ? 0 : 1;
