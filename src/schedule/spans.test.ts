import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { clip, intersect, subtract, totalTime, unite, type Span } from './spans.ts';

const SIZE = 40;
const spansOf = fc
  .array(fc.tuple(fc.nat(SIZE), fc.nat(SIZE)), { maxLength: 8 })
  .map((pairs) => pairs.map(([a, b]): Span => ({ start: Math.min(a, b), end: Math.max(a, b) })));

/** The same set as booleans, one a unit. */
const cells = (spans: readonly Span[]): boolean[] =>
  Array.from({ length: SIZE + 1 }, (_, at) => spans.some(({ start, end }) => start <= at && at < end));

function assertProper(spans: readonly Span[]): void {
  spans.forEach(({ start, end }, i) => assert.ok(start < end && (i === 0 || spans[i - 1]!.end < start)));
}

test('union, intersection, difference and clipping agree with sets of single units', () => {
  fc.assert(
    fc.property(spansOf, spansOf, fc.nat(SIZE), fc.nat(SIZE), (first, second, p, q) => {
      const [a, b] = [unite(first), unite(second)];
      const [from, to] = [Math.min(p, q), Math.max(p, q)];
      const [inA, inB] = [cells(first), cells(second)];
      for (const list of [a, b, intersect(a, b), subtract(a, b), clip(a, from, to)]) assertProper(list);
      assert.deepEqual(cells(a), inA);
      assert.deepEqual(
        cells(intersect(a, b)),
        inA.map((open, i) => open && inB[i]!),
      );
      assert.deepEqual(
        cells(subtract(a, b)),
        inA.map((open, i) => open && !inB[i]!),
      );
      assert.deepEqual(
        cells(clip(a, from, to)),
        inA.map((open, i) => open && from <= i && i < to),
      );
      assert.equal(totalTime(a), inA.filter(Boolean).length);
    }),
    { numRuns: 500 },
  );
});
