/** Trees that no backup of ours writes: what is wrong is refused, the rest restored, and nothing made outside. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sealBlock, type SealedBlock } from '../format/block.ts';
import { chunkDigest } from '../format/domain-keys.ts';
import { LeafWriter } from '../format/leaf-writer.ts';
import { encodeInnerPage, type TreeChild, type TreeRecord } from '../format/tree-page.ts';
import type { Extent } from '../model/entries.ts';
import type { BlockId, ChunkDigest } from '../model/ids.ts';
import { joinPath, type ByteName, type PathKey } from '../model/paths.ts';
import {
  buildFromRecords,
  buildSnapshot,
  entryOf,
  type EntrySpec,
  pathKey,
  testDomain,
} from '../../test/support/build-snapshot.ts';
import {
  everywhere,
  type FoundEntry,
  foundIn,
  restoreIn,
  type RestorePlace,
  simulatedPlace,
  targetOf,
} from '../../test/support/restore-places.ts';

const outsideOf = (place: RestorePlace): PathKey => joinPath(place.directory, 'outside' as ByteName);

/** Something that must not change, beside the target. */
async function plantOutside(place: RestorePlace): Promise<Map<string, FoundEntry>> {
  const target = await place.finish(place.world.files.openTarget(outsideOf(place)));
  await place.finish(target.makeDirectory(pathKey('sub')));
  const file = await place.finish(target.createFile(pathKey('f')));
  await place.finish(file.write(Buffer.from('mine'), 0));
  await place.finish(file.finish(4, false, null));
  await place.finish(target.close());
  return foundIn(place, outsideOf(place));
}

const codes = (report: { problems: readonly { path: string; code: string }[] }): string[] =>
  report.problems.map(({ path, code }) => `${path} ${code}`).sort();

everywhere('what a tree puts below its own symlink or file is refused', async (place) => {
  const outside = await plantOutside(place);
  const inside = ['f', 'new', 'sub/g', 'sub', 'link', 'fifo', 'd'];
  const below = (parent: string): EntrySpec[] =>
    inside.map((name) => {
      const path = `${parent}/${name}`;
      if (name === 'sub' || name === 'd') return { path, type: 'directory', mode: 0o777 };
      if (name === 'link') return { path, type: 'symlink', target: 'x' };
      return name === 'fifo' ? { path, type: 'fifo' } : { path, content: 'y'.repeat(100) };
    });
  const snapshot = await buildSnapshot([
    { path: 'absolute', type: 'symlink', target: `/${outsideOf(place).replaceAll('\0', '/')}` },
    ...below('absolute'),
    { path: 'relative', type: 'symlink', target: '../outside' },
    ...below('relative'),
    { path: 'self', type: 'symlink', target: 'self' },
    ...below('self'),
    { path: 'file', content: 'z'.repeat(100) },
    ...below('file'),
    { path: 'good', content: 'good' },
  ]);
  const report = await restoreIn(place, snapshot);
  assert.deepEqual(await foundIn(place, outsideOf(place)), outside);
  const found = await foundIn(place, targetOf(place));
  assert.equal(found.get('good')?.size, 4);
  for (const name of ['absolute', 'relative', 'self']) assert.equal(found.get(name)?.type, 'symlink');
  for (const name of ['absolute', 'relative', 'self'])
    assert.ok(codes(report).includes(`/${name} target-exists`));
  assert.ok(![...found.keys()].some((path) => /^(absolute|relative|self)\//.test(path)));
  assert.equal(report.complete, false);
});

for (const overwrite of ['never', 'always'] as const) {
  everywhere(`a symlink planted where a directory belongs is not followed (${overwrite})`, async (place) => {
    const outside = await plantOutside(place);
    const target = await place.finish(place.world.files.openTarget(targetOf(place)));
    await place.finish(target.symlink(pathKey('d'), '../outside', false));
    await place.finish(target.makeDirectory(pathKey('e')));
    await place.finish(target.symlink(pathKey('e/sub'), '../../outside', false));
    const snapshot = await buildSnapshot([
      { path: 'd', type: 'directory', mode: 0o777 },
      { path: 'd/f', content: 'new'.repeat(50) },
      { path: 'd/sub', type: 'directory' },
      { path: 'e/sub/f', content: 'new'.repeat(50) },
      { path: 'e/f', content: 'good' },
    ]);
    const report = await restoreIn(place, snapshot, { overwrite });
    assert.deepEqual(await foundIn(place, outsideOf(place)), outside);
    assert.deepEqual(codes(report), ['/d target-exists', '/e/sub target-exists']);
    assert.match(report.problems[0]!.message, /so what is directly within it is not restored: 2 entries/);
    assert.deepEqual([...(await foundIn(place, targetOf(place))).keys()], ['d', 'e', 'e/f', 'e/sub']);
  });
}

everywhere('a symlink planted where a file belongs is replaced, never written through', async (place) => {
  const outside = await plantOutside(place);
  const target = await place.finish(place.world.files.openTarget(targetOf(place)));
  await place.finish(target.symlink(pathKey('f'), '../outside/f', false));
  const snapshot = await buildSnapshot([{ path: 'f', content: 'new', mode: 0o777 }]);
  const report = await restoreIn(place, snapshot, { overwrite: 'always' });
  assert.equal(report.complete, true);
  assert.deepEqual(await foundIn(place, outsideOf(place)), outside);
  assert.equal((await foundIn(place, targetOf(place))).get('f')?.type, 'file');
});

everywhere('names that no path can have are refused, with what is below them', async (place) => {
  const long = 'x'.repeat(256);
  const snapshot = await buildSnapshot([
    { path: long, content: 'x' },
    { path: `a/${long}`, type: 'directory' },
    { path: `a/${long}/b`, content: 'x' },
    { path: `a/${long}/c/d`, content: 'x' },
    { path: `b/${long}/c/d`, content: 'x' },
    { path: `c/${long}`, type: 'symlink', target: 'x' },
    { path: 'good', content: 'good' },
  ]);
  const report = await restoreIn(place, snapshot);
  assert.deepEqual(codes(report), [
    `/a/${long} bad-name`,
    `/b/${long} bad-name`,
    `/c/${long} bad-name`,
    `/${long} bad-name`,
  ]);
  assert.deepEqual([...(await foundIn(place, targetOf(place))).keys()], ['a', 'b', 'c', 'good']);
});

everywhere('names that leave their directory cost their page, and nothing is made outside', async (place) => {
  const outside = await plantOutside(place);
  for (const path of ['d\0..', 'd\0.', 'd\0../outside', 'a/../../outside/f', 'd\0\0f', '..\0outside\0f']) {
    const entry = { ...entryOf({ path: 'x' }), path: path as PathKey };
    const snapshot = await buildFromRecords([{ kind: 'entry', entry }]);
    await assert.rejects(restoreIn(place, snapshot), { code: 'damaged-page' });
  }
  assert.deepEqual(await foundIn(place, outsideOf(place)), outside);
  assert.deepEqual(
    [...(await foundIn(place, place.directory)).keys()].filter((path) => path.startsWith('target')),
    [],
  );
});

const keys = testDomain();
const chunk = Buffer.alloc(1000, 'data');
const block: SealedBlock = sealBlock(keys, chunk, { type: 'data', level: 1 });
const digest = chunkDigest(keys, chunk);
const data = (changes: Partial<Extract<Extent, { kind: 'data' }>> = {}): Extent => ({
  kind: 'data',
  block: block.id,
  offset: 0,
  length: 1000,
  digest,
  ...changes,
});
const part = (offset: number, length: number): Extent =>
  data({ offset, length, digest: chunkDigest(keys, chunk.subarray(offset, offset + length)) });

/** Each with the code that it gets. */
const lies: Record<string, { size: number; extents: Extent[]; code: string }> = {
  'a size above its extents': { size: 1001, extents: [data()], code: 'damaged-page' },
  'a size below its extents': { size: 999, extents: [data()], code: 'damaged-page' },
  'a huge size': { size: 2 ** 51, extents: [data()], code: 'damaged-page' },
  'a size and nothing else': { size: 2 ** 40, extents: [], code: 'damaged-page' },
  'extents that overflow': {
    size: 2 ** 52,
    extents: [
      { kind: 'hole', length: Number.MAX_SAFE_INTEGER },
      { kind: 'hole', length: 2 ** 52 },
    ],
    code: 'damaged-page',
  },
  'a chunk past the end of its block': { size: 1000, extents: [data({ offset: 1 })], code: 'damaged-page' },
  'a chunk far past the end of its block': {
    size: 2 ** 32 - 1,
    extents: [data({ length: 2 ** 32 - 1 })],
    code: 'damaged-page',
  },
  'an offset far past the end of its block': {
    size: 1,
    extents: [data({ offset: 2 ** 32 - 1, length: 1 })],
    code: 'damaged-page',
  },
  'another chunk of the same block': {
    size: 500,
    extents: [{ ...part(0, 500), offset: 3 } as Extent],
    code: 'hash-mismatch',
  },
  'a wrong digest': {
    size: 1000,
    extents: [data({ digest: '00'.repeat(32) as ChunkDigest })],
    code: 'hash-mismatch',
  },
  'a block that nobody has': {
    size: 1000,
    extents: [data({ block: '11'.repeat(32) as BlockId })],
    code: 'block-unavailable',
  },
  'good bytes, then bad ones': {
    size: 2000,
    extents: [data(), data({ digest: '00'.repeat(32) as ChunkDigest })],
    code: 'hash-mismatch',
  },
};

everywhere('files that lie about what they have are refused one by one', async (place) => {
  const tree = sealBlock(keys, chunk, { type: 'tree', level: 1 });
  const entries = Object.entries(lies).map(([name, { size, extents }]) =>
    entryOf({ path: `lie/${name}`, size, extents }),
  );
  entries.push(entryOf({ path: 'lie/a page for data', size: 1000, extents: [data({ block: tree.id })] }));
  entries.push(entryOf({ path: 'good', size: 1000, extents: [part(0, 400), part(400, 600)] }));
  const records = entries
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map((entry): TreeRecord => ({ kind: 'entry', entry }));
  const report = await restoreIn(place, await buildFromRecords(records, { blocks: [block, tree] }));
  const expected = Object.entries(lies).map(([name, { code }]) => `/lie/${name} ${code}`);
  assert.deepEqual(codes(report), [...expected, '/lie/a page for data damaged-block'].sort());
  assert.deepEqual([...(await foundIn(place, targetOf(place))).keys()], ['good', 'lie']);
});

everywhere('continuations that do not continue are refused', async (place) => {
  const goOn = (name: string, offset: number): TreeRecord => ({
    kind: 'continuation',
    path: pathKey(name),
    offset,
    extents: [data()],
  });
  const begin = (name: string, size = 2000): TreeRecord => ({
    kind: 'entry',
    entry: entryOf({ path: name, size, extents: [data()] }),
  });
  const records: TreeRecord[] = [
    begin('a-gap'),
    goOn('a-gap', 1001),
    begin('b-overlap'),
    goOn('b-overlap', 999),
    begin('c-far'),
    goOn('c-far', Number.MAX_SAFE_INTEGER),
    goOn('d-without-entry', 1000),
    goOn('d-without-entry', 2000),
    begin('e-too-many'),
    goOn('e-too-many', 1000),
    goOn('e-too-many', 2000),
    begin('f-good'),
    goOn('f-good', 1000),
    { kind: 'entry', entry: entryOf({ path: 'g-directory', type: 'directory' }) },
    goOn('g-directory', 1000),
  ];
  const report = await restoreIn(place, await buildFromRecords(records, { blocks: [block] }));
  assert.deepEqual(
    codes(report),
    ['a-gap', 'b-overlap', 'c-far', 'd-without-entry', 'e-too-many'].map((name) => `/${name} damaged-page`),
  );
  assert.deepEqual([...(await foundIn(place, targetOf(place))).keys()], ['f-good', 'g-directory']);
});

everywhere('link groups that mix types or lie about content make no link that is wrong', async (place) => {
  const link = { fileSystem: 0, inode: 1n };
  const bad = [data({ digest: '00'.repeat(32) as ChunkDigest })];
  const snapshot = await buildSnapshot(
    [
      { path: 'a', size: 1000, extents: bad, link },
      { path: 'b', type: 'symlink', target: '../outside/f', link },
      { path: 'c', type: 'directory', link },
      { path: 'c/d', size: 1000, extents: bad, link },
      { path: 'e', size: 1000, extents: [data()], link },
      { path: 'f', size: 1000, extents: bad, link },
    ],
    { blocks: [block] },
  );
  const report = await restoreIn(place, snapshot);
  assert.deepEqual(codes(report), ['/a hash-mismatch', '/c/d hash-mismatch']);
  const found = await foundIn(place, targetOf(place));
  assert.deepEqual([...found.keys()], ['b', 'c', 'e', 'f']);
  assert.equal(found.get('e')?.inode, found.get('f')?.inode);
});

everywhere('symlinks to nothing that can be named are refused', async (place) => {
  const snapshot = await buildSnapshot([
    { path: 'empty', type: 'symlink', target: '' },
    { path: 'nul', type: 'symlink', target: 'a\0b' },
    { path: 'good', type: 'symlink', target: 'a' },
  ]);
  const report = await restoreIn(place, snapshot);
  assert.deepEqual(codes(report), ['/empty damaged-page', '/nul damaged-page']);
  assert.deepEqual([...(await foundIn(place, targetOf(place))).keys()], ['good']);
});

test('a tree whose pages hold themselves many times over is read in few steps', async () => {
  const snapshot = await buildSnapshot([{ path: 'a', content: 'x' }]);
  const source = snapshot.source();
  const keep = (payload: Uint8Array): BlockId => {
    const { id, bytes } = sealBlock(snapshot.domain, payload, { type: 'tree', level: 1 });
    source.blocks.set(id, bytes);
    return id;
  };
  for (const records of [[{ kind: 'entry', entry: entryOf({ path: 'k05' }) } as const], []]) {
    const leaf = new LeafWriter();
    for (const record of records) leaf.add(record);
    let id = keep(leaf.finish());
    for (let level = 1; level <= 20; level++) {
      const children = Array.from({ length: 10 }, (_, at): TreeChild => {
        const last = { path: pathKey(`k0${at}`), offset: 0 };
        return { last, id, length: 100, entries: 1, bytes: 0 };
      });
      id = keep(encodeInnerPage(level, children));
    }
    const { manifest } = snapshot.signed;
    const signed = { ...snapshot.signed, manifest: { ...manifest, tree: { ...manifest.tree, id } } };
    const place = simulatedPlace();
    const report = await restoreIn(place, { ...snapshot, signed }, { sources: [source] });
    assert.equal(report.complete, false);
    assert.ok(source.calls.length < 1000, `${source.calls.length} calls`);
  }
});
