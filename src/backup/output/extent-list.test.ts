import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Entry, type Extent, extentLength } from '../../model/entries.ts';
import type { BlockId, ChunkDigest } from '../../model/ids.ts';
import { BlockTable, STORED } from '../blocks/block-table.ts';
import { ExtentList } from './extent-list.ts';

const digestOf = (name: number): ChunkDigest => hash('sha256', `digest ${name}`) as ChunkDigest;
const idOf = (name: number): BlockId => hash('sha256', `block ${name}`) as BlockId;

const plain = { noNullPrototype: true };
const extents: fc.Arbitrary<Extent> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('data' as const),
      block: fc.nat({ max: 20 }).map(idOf),
      offset: fc.nat({ max: 2 ** 31 - 1 }),
      length: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      digest: fc.nat({ max: 20 }).map(digestOf),
    },
    plain,
  ),
  fc.record({ kind: fc.constant('hole' as const), length: fc.integer({ min: 1, max: 2 ** 50 }) }, plain),
  fc.record(
    { kind: fc.constant('inline' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) },
    plain,
  ),
);

const entry = { path: 'home\0a', type: 'file', extents: [] } as unknown as Entry;

test('gives back what was put in, as records of so many extents each', () => {
  fc.assert(
    fc.property(fc.array(extents, { maxLength: 40 }), fc.integer({ min: 1, max: 7 }), (given, most) => {
      const table = new BlockTable();
      for (let name = 0; name <= 20; name++) table.add(idOf(name), 100, STORED);
      const list = new ExtentList(table);
      list.addHole(5);
      list.clear();
      for (const extent of given) {
        if (extent.kind === 'hole') list.addHole(extent.length);
        else if (extent.kind === 'inline') list.addInline(extent.bytes);
        else list.addData(table.find(extent.block), extent.offset, extent.length, extent.digest);
      }
      const copy = list.copy();
      assert.deepEqual(list.all(), given);
      list.clear();
      assert.equal(
        copy.length,
        given.reduce((sum, extent) => sum + extentLength(extent), 0),
      );
      let offset = 0;
      const got: Extent[] = [];
      for (const record of copy.records(entry, most)) {
        const some = record.kind === 'entry' ? record.entry.extents : record.extents;
        assert.equal(record.kind === 'entry' ? 0 : record.offset, offset);
        assert.ok(some.length <= most);
        offset += some.reduce((sum, extent) => sum + extentLength(extent), 0);
        got.push(...some);
      }
      assert.deepEqual(got, given);
    }),
    { numRuns: 100 },
  );
});
