import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RandomStream } from './random.ts';

const EXPECTED = [1_434_960_159, 2_515_086_363, 1_232_395_130];

test('one seed and name give one stream for ever', () => {
  const stream = new RandomStream(1, 'workload', 'ann');
  assert.deepEqual([stream.next(), stream.next(), stream.next()], EXPECTED);
  const again = new RandomStream('1', 'workload', 'ann');
  assert.deepEqual([again.next(), again.next(), again.next()], EXPECTED);
});

test('streams of other seeds, names or partings of names differ', () => {
  const streams = [
    new RandomStream(1, 'a', 'b'),
    new RandomStream(2, 'a', 'b'),
    new RandomStream(1, 'a', 'c'),
    new RandomStream(1, 'ab'),
    new RandomStream(1, 'a,b'),
  ];
  assert.equal(new Set(streams.map((stream) => stream.next())).size, streams.length);
});

test('every number below a bound comes, about equally often', () => {
  const stream = new RandomStream(7);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let drawn = 0; drawn < 10_000; drawn++) counts[stream.below(10)]!++;
  for (const count of counts) assert.ok(count > 850 && count < 1150, counts.join(' '));
  const ends = Array.from({ length: 1000 }, () => stream.between(3, 5));
  assert.deepEqual(
    [...new Set(ends)].sort((a, b) => a - b),
    [3, 4, 5],
  );
});
