import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { SourceFile } from '../../world/ports.ts';
import { type Segment, segmentsOf } from './segments.ts';

/** A file whose byte n is data where `data[n]` is true. */
function fileOf(data: readonly boolean[]): SourceFile {
  const nextData = async (position: number): Promise<{ start: number; end: number } | null> => {
    const start = data.indexOf(true, position);
    if (start < 0) return null;
    const end = data.indexOf(false, start);
    return { start, end: end < 0 ? data.length : end };
  };
  return { nextData } as SourceFile;
}

async function segments(data: readonly boolean[], from: number, shortest: number): Promise<Segment[]> {
  const found: Segment[] = [];
  for await (const segment of segmentsOf(fileOf(data), from, data.length, shortest)) found.push(segment);
  return found;
}

test('data and long holes in turn, and short holes are data', async () => {
  const runs = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 9 })), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(
      runs,
      fc.nat({ max: 40 }),
      fc.integer({ min: 1, max: 6 }),
      async (given, cut, shortest) => {
        const data = given.flatMap(([is, length]) => Array<boolean>(length).fill(is));
        const from = Math.min(cut, data.length);
        const found = await segments(data, from, shortest);
        let position = from;
        let before: Segment['kind'] | null = null;
        for (const segment of found) {
          assert.equal(segment.start, position);
          assert.ok(segment.end > segment.start);
          assert.ok(before !== 'data' || segment.kind !== 'data');
          position = segment.end;
          before = segment.kind;
          const bytes = data.slice(segment.start, segment.end);
          if (segment.kind === 'hole') assert.ok(bytes.length >= shortest && !bytes.includes(true));
          else assert.ok(!longHole(bytes, shortest), bytes.join(' '));
        }
        assert.equal(position, data.length);
      },
    ),
    { numRuns: 200 },
  );
});

/** A hole that is long enough, data on both sides. */
function longHole(bytes: readonly boolean[], shortest: number): boolean {
  const text = bytes.map((is) => (is ? 'd' : ' ')).join('');
  return text
    .trim()
    .split(/d+/)
    .some((hole) => hole.length >= shortest);
}

test('a file system that says nothing useful does not make it go on for ever', async () => {
  const stuck = { nextData: async (position: number) => ({ start: position, end: position }) } as SourceFile;
  const found: Segment[] = [];
  for await (const segment of segmentsOf(stuck, 0, 50, 4)) found.push(segment);
  assert.deepEqual(found, [{ kind: 'data', start: 0, end: 50 }]);
});
