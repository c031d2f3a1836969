import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { Entry } from '../model/entries.ts';
import type { BlockId } from '../model/ids.ts';
import { PATH_BYTES_MAX, type PathKey } from '../model/paths.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { hashOf, paths, recordLists, refusedAs } from './test-support.ts';
import { LeafWriter } from './leaf-writer.ts';
import {
  compareKeys,
  decodeTreePage,
  encodeInnerPage,
  type TreeChild,
  type TreeRecord,
} from './tree-page.ts';

function leafOf(records: readonly TreeRecord[]): Uint8Array {
  const writer = new LeafWriter();
  for (const record of records) writer.add(record);
  return writer.finish();
}

const fileAt = (path: string, change: Partial<Entry> = {}): TreeRecord => ({
  kind: 'entry',
  entry: {
    path: path as PathKey,
    type: 'file',
    mode: 0o644,
    uid: 1,
    gid: 2,
    size: 3,
    mtime: 4n,
    ctime: 5n,
    inode: 6n,
    unsettled: false,
    partial: false,
    extents: [],
    ...change,
  },
});

const children: fc.Arbitrary<TreeChild[]> = fc
  .uniqueArray(paths, { minLength: 1, maxLength: 30 })
  .map((paths) =>
    paths.sort().map((path, at) => ({
      last: { path, offset: at * 1000 },
      id: hashOf(Buffer.from(path)) as BlockId,
      length: at,
      entries: at * 2 ** 40,
      bytes: Number.MAX_SAFE_INTEGER - at,
    })),
  );

const inner = (list: readonly TreeChild[], level = 1): Uint8Array => encodeInnerPage(level, list);
const child = (path: string): TreeChild => ({
  last: { path: path as PathKey, offset: 0 },
  id: '00'.repeat(32) as BlockId,
  length: 1,
  entries: 1,
  bytes: 1,
});

/** A leaf with one file, with bytes replaced: `at` counts from the page's start. */
function withBytes(page: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  const changed = Buffer.from(page);
  changed.set(bytes, at);
  return changed;
}

describe('tree pages (format F20-F27)', () => {
  it('F20: any list of records round-trips through a leaf', () => {
    fc.assert(
      fc.property(recordLists(40), (records) => {
        const page = decodeTreePage(leafOf(records));
        assert.deepEqual(page, { kind: 'leaf', records });
        assert.deepEqual(leafOf(records), leafOf(page.kind === 'leaf' ? page.records : []));
      }),
    );
  });

  it('F23: any list of children round-trips through an inner page', () => {
    fc.assert(
      fc.property(children, fc.integer({ min: 1, max: 31 }), (children, level) => {
        assert.deepEqual(decodeTreePage(inner(children, level)), { kind: 'inner', level, children });
      }),
    );
  });

  it('F20: one writer makes page after page', () => {
    const writer = new LeafWriter();
    for (const name of ['a', 'b']) {
      writer.add(fileAt(name));
      assert.deepEqual(writer.finish(), leafOf([fileAt(name)]));
    }
  });

  it('F20: a page far larger than the buffer it starts with round-trips', () => {
    const records = Array.from({ length: 3000 }, (_, at) =>
      fileAt(`directory\0file number ${String(at).padStart(5, '0')} with a long name`),
    );
    assert.deepEqual(decodeTreePage(leafOf(records)), { kind: 'leaf', records });
  });

  it('F20: cut anywhere, or with a byte more, a page is refused', () => {
    const page = leafOf([
      fileAt('a', { extents: [{ kind: 'hole', length: 3 }] }),
      fileAt('b\0c', { link: { fileSystem: 300, inode: 6n }, extra: Buffer.of(0xa0) }),
      { kind: 'continuation', path: 'b\0c' as PathKey, offset: 70_000, extents: [] },
    ]);
    for (const whole of [page, inner([child('a'), child('b')])]) {
      for (let length = 0; length < whole.length; length++) {
        assert.throws(() => decodeTreePage(whole.subarray(0, length)), refusedAs('damaged-page'));
      }
      assert.throws(() => decodeTreePage(Buffer.concat([whole, Buffer.of(0)])), refusedAs('damaged-page'));
    }
  });

  it('F20: changed bytes give another page or a refusal, never another error', () => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(recordLists(6), edits, (records, edits) => {
        const bytes = Buffer.from(leafOf(records));
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        try {
          decodeTreePage(bytes);
        } catch (error) {
          refusedAs('damaged-page')(error);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('F21: a directory is followed by what is in it, before any longer name', () => {
    const order = ['', 'a', 'a\0', 'a\0b', 'a\0b\0c', 'a\u0001', 'a ', 'a!b', 'a.b', 'ab', 'b', '\u00ff'];
    for (const [at, path] of order.entries()) {
      for (const [other, second] of order.entries()) {
        const found = compareKeys(
          { path: path as PathKey, offset: 0 },
          { path: second as PathKey, offset: 0 },
        );
        assert.equal(Math.sign(found), Math.sign(at - other), JSON.stringify([path, second]));
      }
    }
  });

  it('F21: records out of order or twice are refused', () => {
    const same = { kind: 'continuation', path: 'b' as PathKey, offset: 9, extents: [] } as const;
    for (const records of [
      [fileAt('b'), fileAt('a')],
      [fileAt('a'), fileAt('a')],
      [same, fileAt('b')],
      [same, same],
    ]) {
      assert.throws(() => decodeTreePage(leafOf(records)), refusedAs('damaged-page'));
    }
    assert.throws(() => decodeTreePage(inner([child('b'), child('a')])), refusedAs('damaged-page'));
    assert.throws(() => decodeTreePage(inner([child('a'), child('a')])), refusedAs('damaged-page'));
  });

  it('F21: names that would leave their directory are refused', () => {
    for (const path of ['.', '..', 'a\0..', '..\0a', 'a\0.\0b', 'a/b', '/', 'a\0', '\0a', 'a\0\0b']) {
      const shown = JSON.stringify(path);
      assert.throws(() => decodeTreePage(leafOf([fileAt(path)])), refusedAs('damaged-page'), shown);
      assert.throws(() => decodeTreePage(inner([child(path)])), refusedAs('damaged-page'), shown);
    }
    for (const path of ['', '...', '.a', 'a.', 'a..b', '..a\0b..', '\n\u00ff']) {
      assert.doesNotThrow(() => decodeTreePage(leafOf([fileAt(path)])), JSON.stringify(path));
    }
  });

  it('F21: paths above 32,767 bytes are refused, when written and when read', () => {
    const longest = fileAt('x'.repeat(PATH_BYTES_MAX));
    assert.deepEqual(decodeTreePage(leafOf([longest])), { kind: 'leaf', records: [longest] });
    assert.throws(() => leafOf([fileAt('x'.repeat(PATH_BYTES_MAX + 1))]), RangeError);
    const longer = Buffer.from([1, 0, 0, 0, 1, 0, 0x80, 0x80, 0x02, ...Buffer.alloc(32_768, 'x')]);
    assert.throws(() => decodeTreePage(longer), refusedAs('damaged-page'));
  });

  it('F24: unknown types, flags and modes, and times with too many nanoseconds are refused', () => {
    const page = leafOf([fileAt('a')]);
    const typeAt = 1 + 4 + 3;
    assert.equal(page[typeAt], 1);
    const nanosAt = typeAt + 2 + 2 + 4 + 4 + 8 + 8;
    for (const changed of [
      withBytes(page, 0, 3),
      withBytes(page, typeAt, 0),
      withBytes(page, typeAt, 9),
      withBytes(page, typeAt + 1, 16),
      withBytes(page, typeAt + 2, 0x10),
      withBytes(page, typeAt + 12, 0x00, 0x20),
      withBytes(page, nanosAt, 0x3b, 0x9a, 0xca, 0x00),
    ]) {
      assert.throws(() => decodeTreePage(changed), refusedAs('damaged-page'));
    }
    assert.doesNotThrow(() => decodeTreePage(withBytes(page, nanosAt, 0x3b, 0x9a, 0xc9, 0xff)));
  });

  it('F24: times before 1970 keep their order and their nanoseconds', () => {
    for (const mtime of [-1n, -999_999_999n, -1_000_000_000n, -1_000_000_001n, 0n, 1n, -(2n ** 62n)]) {
      assert.deepEqual(decodeTreePage(leafOf([fileAt('a', { mtime })])), {
        kind: 'leaf',
        records: [fileAt('a', { mtime })],
      });
    }
  });

  it('F26: extents of no bytes, of an unknown kind, and continuations at 0 are refused', () => {
    const page = leafOf([fileAt('a', { extents: [{ kind: 'inline', bytes: Buffer.of(7) }] })]);
    const kindAt = page.length - 3;
    assert.equal(page[kindAt], 3);
    assert.throws(() => decodeTreePage(withBytes(page, kindAt, 4)), refusedAs('damaged-page'));
    assert.throws(() => decodeTreePage(withBytes(page, kindAt, 0)), refusedAs('damaged-page'));
    const empty = Buffer.from(withBytes(page, kindAt + 1, 0)).subarray(0, -1);
    assert.throws(() => decodeTreePage(empty), refusedAs('damaged-page'));
    const hole = { kind: 'hole', length: 0 } as const;
    assert.throws(() => leafOf([fileAt('a', { extents: [hole] })]), TypeError);
    const first = { kind: 'continuation', path: 'a' as PathKey, offset: 0, extents: [] } as const;
    assert.throws(() => decodeTreePage(leafOf([first])), refusedAs('damaged-page'));
  });

  it('F23: an inner page has a level and children', () => {
    assert.throws(() => decodeTreePage(inner([])), refusedAs('damaged-page'));
    assert.throws(() => decodeTreePage(inner([child('a')], 0)), refusedAs('damaged-page'));
  });

  it('F20: what does not fit is refused when written', () => {
    assert.throws(() => leafOf([fileAt('\u0100')]), TypeError);
    assert.throws(() => leafOf([fileAt('a', { size: -1 })]), RangeError);
    assert.throws(() => leafOf([fileAt('a', { uid: 2 ** 32 })]), RangeError);
    for (const id of ['xy'.repeat(32), '00'.repeat(31), '00'.repeat(33), '0'.repeat(63)]) {
      assert.throws(() => inner([{ ...child('a'), id: id as BlockId }]), TypeError);
    }
    assert.throws(() => inner([{ ...child('a'), entries: -1 }]), RangeError);
  });
});

describe('numbers in pages (format F20)', () => {
  const reader = (bytes: Uint8Array): ByteReader => new ByteReader(bytes, 'damaged-page', 'the test');
  const safe = fc.oneof(
    fc.nat(),
    fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    fc.nat(53).map((power) => 2 ** power - 1),
  );

  it('F20: varints and 64-bit numbers round-trip up to 2^53 - 1', () => {
    fc.assert(
      fc.property(safe, (value) => {
        const writer = new ByteWriter(1);
        writer.varint(value);
        writer.safe64(value);
        const read = reader(writer.slice());
        assert.deepEqual([read.varint(), read.safe64()], [value, value]);
        read.end();
      }),
    );
  });

  it('F20: numbers above 2^53 - 1 and varints that are not in their shortest form are refused', () => {
    const bad = [
      [0x80, 0x00],
      [0xff, 0x80, 0x00],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10],
      Array.from({ length: 20 }, () => 0xff),
    ];
    for (const bytes of bad)
      assert.throws(() => reader(Buffer.from(bytes)).varint(), refusedAs('damaged-page'));
    const most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert.equal(reader(Buffer.from(most)).varint(), Number.MAX_SAFE_INTEGER);
    const high = Buffer.from('0020000000000000', 'hex');
    assert.throws(() => reader(high).safe64(), refusedAs('damaged-page'));
  });

  it('whatever the size of its buffer, a writer writes the same bytes', () => {
    const write = (capacity: number): Uint8Array => {
      const writer = new ByteWriter(capacity);
      for (let at = 0; at < 40; at++) {
        writer.u8(at);
        writer.u16(at);
        writer.u32(at);
        writer.u64(BigInt(at));
        writer.i64(BigInt(-at));
        writer.varint(at * 100);
        writer.safe64(at);
        writer.hex('00ff', 2);
        writer.latin1('tide');
        writer.raw(Buffer.of(1, 2, 3));
      }
      return writer.slice();
    };
    const expected = write(10_000);
    for (let capacity = 1; capacity < 70; capacity++) assert.deepEqual(write(capacity), expected);
  });
});
