import { test } from 'node:test';
import { RandomNights } from './random-nights.ts';

const FIRST = Number(process.env['SEED'] ?? 1);
const NIGHTS = Number(process.env['NIGHTS'] ?? 3);

for (let seed = FIRST; seed < FIRST + NIGHTS; seed++) {
  test(`P1, P2, P6: random nights, seed ${seed}`, async (t) => {
    const nights = new RandomNights(seed);
    await nights.run();
    t.diagnostic(JSON.stringify(nights.counts));
  });
}
