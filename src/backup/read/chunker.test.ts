import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { noise } from '../../../test/backup/rig.ts';
import { deriveDomainKeys } from '../../format/domain-keys.ts';
import { limits as productionLimits, tinyLimits } from '../../model/limits.ts';
import { Cutter } from './chunker.ts';
import { type CutRule, cutRuleOf, WINDOW_BYTES } from './gear.ts';
import { plainGear } from '../../world/threads/gear-kernel.ts';

const { gear } = deriveDomainKeys(noise('chunker', 32));
const rule = cutRuleOf({
  ...tinyLimits,
  chunk_bytes_min: 64,
  chunk_bytes_average: 256,
  chunk_bytes_max: 1024,
});

/** h at `position`, as the rule defines it: over the last 32 bytes, from nothing. */
function hashAt(bytes: Uint8Array, position: number): number {
  let hash = 0;
  for (let at = Math.max(0, position - WINDOW_BYTES); at < position; at++) {
    hash = (hash << 1) + gear[bytes[at]!]!;
  }
  return hash >>> 0;
}

/** The rule read word by word, slowly. */
function cutsByTheRule(bytes: Uint8Array, { min, average, max }: CutRule): number[] {
  const bits = Math.log2(average);
  const isStrict = (position: number): boolean => hashAt(bytes, position) < 2 ** (32 - bits - 2);
  const isLoose = (position: number): boolean => hashAt(bytes, position) < 2 ** (32 - bits + 2);
  const cuts: number[] = [];
  for (let from = 0; from < bytes.length;) {
    let cut = Math.min(from + max, bytes.length);
    const find = (start: number, end: number, is: (position: number) => boolean): number | undefined => {
      for (let p = start; p < Math.min(end, bytes.length); p++) if (is(p)) return p;
      return undefined;
    };
    cut = find(from + min, from + average, isStrict) ?? find(from + average, from + max, isLoose) ?? cut;
    cuts.push(cut);
    from = cut;
  }
  return cuts;
}

/** Cut by the Cutter, fed with pieces that end at `ends`, asked after each of them. */
function cutsInPieces(bytes: Uint8Array, ends: readonly number[], by: CutRule = rule): number[] {
  const cutter = new Cutter(by, 0);
  const cuts: number[] = [];
  let position = 0;
  for (const end of [...ends.filter((end) => end < bytes.length).sort((a, b) => a - b), bytes.length]) {
    const start = Math.max(0, position - WINDOW_BYTES);
    const found = plainGear.find(bytes.subarray(start, end), position - start, gear, by);
    cutter.feed(found, start, end);
    for (let cut = cutter.next(end === bytes.length); cut !== null;) {
      cuts.push(cut);
      cut = cutter.next(end === bytes.length);
    }
    position = end;
  }
  return cuts;
}

/** The rule by one pass that hashes nothing before 32 bytes ahead of the least cut. */
function cutsBySkipping(
  bytes: Uint8Array,
  { min, average, max, strictShift, looseShift }: CutRule,
): number[] {
  const cuts: number[] = [];
  for (let from = 0; from < bytes.length;) {
    let cut = Math.min(from + max, bytes.length);
    let hash = 0;
    for (let at = from + min - WINDOW_BYTES; at < cut; at++) {
      hash = ((hash << 1) + gear[bytes[at]!]!) | 0;
      const position = at + 1;
      if (position < from + min) continue;
      if (hash >>> (position < from + average ? strictShift : looseShift) !== 0) continue;
      if (position < from + max) cut = position;
      break;
    }
    cuts.push(cut);
    from = cut;
  }
  return cuts;
}

/** Random bytes with runs of one byte in them, so that cuts at the maximum come up. */
const contents = fc
  .array(
    fc.oneof(
      fc.tuple(fc.nat(), fc.integer({ min: 1, max: 3000 })).map(([seed, length]) => noise(seed, length)),
      fc
        .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 3000 }))
        .map(([byte, length]) => new Uint8Array(length).fill(byte)),
    ),
    { maxLength: 4 },
  )
  .map((pieces) => new Uint8Array(Buffer.concat(pieces)));

test('cuts are those of the rule, whatever pieces the file is looked through in', () => {
  fc.assert(
    fc.property(contents, fc.array(fc.nat({ max: 8000 }), { maxLength: 12 }), (bytes, ends) => {
      assert.deepEqual(cutsInPieces(bytes, ends), cutsByTheRule(bytes, rule));
    }),
    { numRuns: 150 },
  );
});

test('hashing may start 32 bytes before the least cut', () => {
  fc.assert(
    fc.property(contents, (bytes) => {
      assert.deepEqual(cutsBySkipping(bytes, rule), cutsByTheRule(bytes, rule));
    }),
    { numRuns: 100 },
  );
});

test('candidates are the same for any split of the file into ranges', () => {
  fc.assert(
    fc.property(contents, fc.array(fc.nat({ max: 8000 }), { maxLength: 6 }), (bytes, splits) => {
      const whole = plainGear.find(bytes, 0, gear, rule);
      const ends = [...splits.filter((end) => end < bytes.length), bytes.length].sort((a, b) => a - b);
      const parts: number[] = [];
      let position = 0;
      for (const end of ends) {
        const start = Math.max(0, position - WINDOW_BYTES + 1);
        const found = plainGear.find(bytes.subarray(start, end), position - start, gear, rule);
        parts.push(...found.map((candidate) => candidate + 2 * start));
        position = end;
      }
      assert.deepEqual(parts, whole);
    }),
    { numRuns: 100 },
  );
});

test('a byte put in moves the cuts near it only', () => {
  const bytes = noise('moved', 60_000);
  const changed = new Uint8Array([...bytes.subarray(0, 30_000), 7, ...bytes.subarray(30_000)]);
  const before = cutsInPieces(bytes, []).map((cut) => bytes.length - cut);
  const after = new Set(cutsInPieces(changed, []).map((cut) => changed.length - cut));
  const kept = before.filter((fromEnd) => after.has(fromEnd));
  assert.ok(before.length > 150, `${before.length} chunks`);
  assert.ok(kept.length > before.length / 2 - 15, `${kept.length} of ${before.length}`);
});

test('files of no byte, one byte, and about the bounds', () => {
  for (const length of [0, 1, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 2048]) {
    for (const bytes of [new Uint8Array(length), noise(length, length)]) {
      const cuts = cutsInPieces(bytes, [10, 64, 1000]);
      assert.deepEqual(cuts, cutsByTheRule(bytes, rule));
      assert.equal(cuts.at(-1) ?? 0, length);
    }
  }
});

test('with the production rule chunks are about 1 MiB', () => {
  const by = cutRuleOf(productionLimits);
  const bytes = noise('production', 24 << 20);
  const cuts = cutsInPieces(bytes, [4 << 20, 9_000_000], by);
  const lengths = cuts.map((cut, at) => cut - (cuts[at - 1] ?? 0));
  const mean = bytes.length / lengths.length;
  assert.ok(mean > 700_000 && mean < 1_700_000, `mean ${mean}`);
  for (const length of lengths.slice(0, -1)) assert.ok(length >= by.min && length <= by.max);
});

test('sizes that are out of order are refused', () => {
  for (const wrong of [
    { chunk_bytes_min: 16 },
    { chunk_bytes_average: 3000 },
    { chunk_bytes_min: 8192 },
    { chunk_bytes_max: 2048 },
  ]) {
    assert.throws(() => cutRuleOf({ ...tinyLimits, ...wrong }), TypeError);
  }
});
