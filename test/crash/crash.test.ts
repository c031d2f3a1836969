import { test } from 'node:test';
import { countOperations, crashAt } from './seed-night.ts';

const SAMPLE = 24;

test("P1, P2: the seed's night survives a power loss around a sample of its operations", async (t) => {
  const seed = process.env['SEED'] ?? 'night';
  const { from, to } = await countOperations(seed);
  t.diagnostic(`seed ${seed}: ${to - from} operations`);
  const step = Math.max(1, Math.floor((to - from) / SAMPLE));
  for (let index = from; index < to; index += step) {
    const when = (index - from) % 2 === 0 ? 'before' : 'after';
    await crashAt(seed, index, when).catch((error: unknown) => {
      throw new Error(`crash ${when} operation ${index}, seed ${seed}`, { cause: error });
    });
  }
});
