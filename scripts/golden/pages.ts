import { createHash } from 'node:crypto';
import { dumpRefsPage, dumpTreePage } from '../../src/format/dump.ts';
import {
  decodeRefsPage,
  encodeRefsInner,
  encodeRefsLeaf,
  type Ref,
  RefsBuilder,
} from '../../src/format/refs.ts';
import { clearBlock } from '../../src/format/block.ts';
import { testKeys } from '../../src/format/test-support.ts';
import { PageEnds } from '../../src/format/tree-builder.ts';
import { LeafWriter } from '../../src/format/leaf-writer.ts';
import {
  compareKeys,
  decodeTreePage,
  encodeInnerPage,
  keyOf,
  type TreeChild,
  type TreeRecord,
} from '../../src/format/tree-page.ts';
import type { Entry } from '../../src/model/entries.ts';
import type { BlockId, ChunkDigest } from '../../src/model/ids.ts';
import { limits } from '../../src/model/limits.ts';
import type { PathKey } from '../../src/model/paths.ts';
import { codeOf, flipped, hex } from './make.ts';

const hashOf = (name: string): string => createHash('sha256').update(`golden ${name}`).digest('hex');

function entry(path: string, change: Partial<Entry> = {}): TreeRecord {
  return {
    kind: 'entry',
    entry: {
      path: path as PathKey,
      type: 'file',
      mode: 0o644,
      uid: 1000,
      gid: 1000,
      size: 0,
      mtime: 1_700_000_000_123_456_789n,
      ctime: 1_700_000_001_000_000_000n,
      inode: 4711n,
      unsettled: false,
      partial: false,
      extents: [],
      ...change,
    },
  };
}

const data = (name: string, offset: number, length: number) => ({
  kind: 'data' as const,
  block: hashOf(`block ${name}`) as BlockId,
  offset,
  length,
  digest: hashOf(`digest ${name}`) as ChunkDigest,
});

/** One of everything that a leaf may hold. */
export function exampleRecords(): TreeRecord[] {
  const inline = Buffer.from('a few bytes');
  const records: TreeRecord[] = [
    entry('', { type: 'directory', mode: 0o755, uid: 0, gid: 0, inode: 2n, mtime: -1n }),
    entry('home', { type: 'directory', mode: 0o755 }),
    entry('home\0ann', { type: 'directory', mode: 0o2750 }),
    entry('home\0ann\0empty'),
    entry('home\0ann\0film.mkv', { size: 2 ** 40, extents: [data('a', 0, 4_194_304)] }),
    {
      kind: 'continuation',
      path: 'home\0ann\0film.mkv' as PathKey,
      offset: 4_194_304,
      extents: [{ kind: 'hole', length: 2 ** 40 - 4_194_304 - 500 }, data('b', 7, 500)],
    },
    entry('home\0ann\0linked', {
      size: inline.length,
      link: { fileSystem: 0, inode: 4711n },
      extents: [{ kind: 'inline', bytes: inline }],
    }),
    entry('home\0ann\0pipe', { type: 'fifo', mode: 0o600 }),
    entry('home\0ann\0torn', { size: 900, unsettled: true, extents: [data('c', 100, 900)] }),
    entry('home\0ann\0\u0001\n\u001b[0m', { mode: 0o7777 }),
    entry('home\0ann\0\u00e4\u00ff', { type: 'symlink', size: 4, target: '../\u00e4' }),
    entry('home\0ann!', { type: 'socket', extra: Buffer.from('a1041a', 'hex') }),
    entry('home\0sda', { type: 'block-device', rdev: { major: 8, minor: 0 }, mtime: 0n }),
    entry('home\0tty', { type: 'character-device', rdev: { major: 4, minor: 4_294_967_295 } }),
    entry('z', { size: 1000, partial: true, inode: 2n ** 64n - 1n, ctime: 2n ** 62n }),
  ];
  return records.toSorted((a, b) => compareKeys(keyOf(a), keyOf(b)));
}

function leafOf(records: readonly TreeRecord[]): Uint8Array {
  const writer = new LeafWriter();
  for (const record of records) writer.add(record);
  return writer.finish();
}

function child(path: string, change: Partial<TreeChild> = {}): TreeChild {
  return {
    last: { path: path as PathKey, offset: 0 },
    id: hashOf(`page ${path}`) as BlockId,
    length: 8000,
    entries: 200,
    bytes: 123_456_789,
    ...change,
  };
}

/** F20-F27. */
export function treePageVectors(): object {
  const inner = [
    child('home\0ann'),
    child('home\0ann\0film.mkv', { last: { path: 'home\0ann\0film.mkv' as PathKey, offset: 2 ** 39 } }),
    child('z', { entries: Number.MAX_SAFE_INTEGER, bytes: 0 }),
  ];
  const pages: [string, Uint8Array][] = [
    ['one of everything', leafOf(exampleRecords())],
    ['an empty tree', leafOf([])],
    ['an inner page', encodeInnerPage(1, inner)],
    ['an inner page of inner pages', encodeInnerPage(2, [child('a'), child('b')])],
  ];
  return {
    rules: 'F20-F27: payloads of tree pages',
    valid: pages.map(([name, page]) => ({ name, payload: hex(page), meaning: dumpTreePage(page, 1000) })),
    invalid: badTreePages().map(([name, page]) => ({
      name,
      payload: hex(page),
      code: codeOf(() => decodeTreePage(page)),
    })),
  };
}

function badTreePages(): [string, Uint8Array][] {
  const page = leafOf([entry('a'), entry('b')]);
  const typeAt = 8;
  return [
    ['nothing', Buffer.alloc(0)],
    ['an unknown kind of page', flipped(page, 0, 7)],
    ['an end that comes too early', page.subarray(0, -1)],
    ['a byte more', Buffer.concat([page, Buffer.of(0)])],
    ['more records than there are', flipped(page, 4, 4)],
    ['keys out of order', leafOf([entry('b'), entry('a')])],
    ['a key twice', leafOf([entry('a'), entry('a')])],
    ['a path with ..', leafOf([entry('a\0..\0b')])],
    ['a path with a slash', leafOf([entry('a/b')])],
    ['a path with an empty name', leafOf([entry('a\0\0b')])],
    ['an unknown type', flipped(page, typeAt, 8)],
    ['an unknown flag', flipped(page, typeAt + 1, 16)],
    ['a mode above 07777', flipped(page, typeAt + 2, 16)],
    ['a size above 2^53', flipped(page, typeAt + 12, 255)],
    ['a path that shares more than there is', flipped(page, 5, 1)],
    ['a varint that is not in its shortest form', Buffer.from('010000000180000161', 'hex')],
    [
      'a continuation at byte 0',
      leafOf([{ kind: 'continuation', path: 'a' as PathKey, offset: 0, extents: [] }]),
    ],
    ['an inner page without children', encodeInnerPage(1, [])],
    ['an inner page of level 0', encodeInnerPage(0, [child('a')])],
    ['children out of order', encodeInnerPage(1, [child('b'), child('a')])],
  ];
}

/** F22: which of many keys end a page. */
export function treeEndVectors(): object {
  const ends = new PageEnds(testKeys, limits);
  const count = 5000;
  const levels = [0, 1, 2].map((level) => ({
    level,
    ending: Array.from({ length: count }, (_, n) => n).filter((n) =>
      ends.endsAfter(level, { path: `home\0file ${n}` as PathKey, offset: n % 3 === 0 ? n * 2 ** 33 : 0 }),
    ),
  }));
  return {
    rules:
      'F22: of the keys (home NUL "file N", N * 2^33 if 3 divides N else 0), N from 0, those that end a page',
    domainKey: hex(testKeys.domainKey),
    count,
    levels,
  };
}

const refAt = (n: number): Ref => ({
  id: createHash('sha256').update(`block ${n}`).digest('hex') as BlockId,
  length: 100 + (n % 1000),
});

/** F30-F32. */
export async function refsVectors(): Promise<object> {
  const refs = [refAt(1), refAt(2), { ...refAt(3), length: 8_388_608 }];
  const children = refs.map((ref, at) => ({ ...ref, blocks: at + 1, bytes: 2 ** 53 - 1 - at }));
  const pages: [string, Uint8Array][] = [
    ['a leaf', encodeRefsLeaf(refs)],
    ['refs of nothing', encodeRefsLeaf([])],
    ['an inner page', encodeRefsInner(1, children)],
    ['an inner page of level 16', encodeRefsInner(16, children)],
  ];
  const leaf = pages[0]![1];
  const bad: [string, Uint8Array][] = [
    ['nothing', Buffer.alloc(0)],
    ['an unknown kind of page', flipped(leaf, 0, 2)],
    ['an end that comes too early', leaf.subarray(0, -1)],
    ['a byte more', Buffer.concat([leaf, Buffer.of(0)])],
    ['an inner page without children', encodeRefsInner(1, [])],
    ['an inner page of level 0', encodeRefsInner(0, children)],
    ['an inner page of level 17', encodeRefsInner(17, children)],
    ['a number of bytes above 2^53', flipped(encodeRefsInner(1, children), 1 + 1 + 4 + 36 + 8, 255)],
  ];
  const count = 60_000;
  const stored: string[] = [];
  const builder = new RefsBuilder(limits, (payload) => {
    const block = clearBlock(testKeys.id, payload);
    stored.push(block.id);
    return Promise.resolve({ id: block.id, length: block.bytes.length });
  });
  for (let n = 0; n < count; n++) await builder.add(refAt(n));
  return {
    rules: 'F30-F32: payloads of refs pages, and the pages of a long list',
    valid: pages.map(([name, page]) => ({ name, payload: hex(page), meaning: dumpRefsPage(page) })),
    invalid: bad.map(([name, page]) => ({
      name,
      payload: hex(page),
      code: codeOf(() => decodeRefsPage(page)),
    })),
    built: {
      list: 'block N, N from 0: id = SHA-256 of the text "block N", length = 100 + N mod 1000',
      domain: testKeys.id,
      count,
      root: await builder.finish(),
      pages: stored.length,
    },
  };
}
