import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { BlockId } from '../model/ids.ts';
import { tinyLimits } from '../model/limits.ts';
import { isWithin, type PathKey } from '../model/paths.ts';
import { hashOf, PageShelf, paths, recordLists, refusedAs, testKeys } from './test-support.ts';
import { TreeBuilder, type TreeRoot } from './tree-builder.ts';
import { LeafWriter } from './leaf-writer.ts';
import { compareKeys, decodeTreePage, encodeInnerPage, keyOf, type TreeRecord } from './tree-page.ts';
import { type LostPage, TreeReader } from './tree-reader.ts';

async function build(records: readonly TreeRecord[]): Promise<{ root: TreeRoot; shelf: PageShelf }> {
  const shelf = new PageShelf();
  const builder = new TreeBuilder(testKeys, tinyLimits, shelf.store);
  for (const record of records) await builder.add(record);
  return { root: await builder.finish(), shelf };
}

async function all(records: AsyncIterable<readonly TreeRecord[]>): Promise<TreeRecord[]> {
  return (await Array.fromAsync(records)).flat();
}

/** Some path of the list, or of none of it. */
const pathFor = (records: readonly TreeRecord[], pick: number, other: PathKey): PathKey =>
  pick % 4 === 0 || records.length === 0 ? other : keyOf(records[pick % records.length]!).path;

describe('reading trees (format F20-F23)', () => {
  it('F21: records, subtree and find answer as a sorted list does', async () => {
    await fc.assert(
      fc.asyncProperty(recordLists(120), fc.nat(), paths, async (records, pick, other) => {
        const { root, shelf } = await build(records);
        const reader = new TreeReader(root.id, shelf.load);
        const path = pathFor(records, pick, other);
        assert.deepEqual(await all(reader.records()), records);
        const later = records.filter((record) => keyOf(record).path >= path);
        assert.deepEqual(await all(reader.records(path)), later);
        const within = records.filter((record) => isWithin(keyOf(record).path, path));
        assert.deepEqual(await all(reader.subtree(path)), within);
        const found = records.find((record) => record.kind === 'entry' && record.entry.path === path);
        assert.deepEqual(await reader.find(path), found?.kind === 'entry' ? found.entry : null);
      }),
      { numRuns: 80 },
    );
  });

  it('F23: a lookup loads one page a level, a subtree only the pages it touches', async () => {
    const records = manyFiles(2000);
    const { root, shelf } = await build(records);
    const reader = new TreeReader(root.id, shelf.load);
    const levels = levelsOf(shelf, root.id);
    for (const record of records.filter((_, at) => at % 97 === 0)) {
      shelf.loads.length = 0;
      assert.notEqual(await reader.find(keyOf(record).path), null);
      assert.equal(shelf.loads.length, levels);
    }
    shelf.loads.length = 0;
    const some = await all(reader.subtree('d07' as PathKey));
    assert.equal(some.length, 20);
    assert.ok(shelf.loads.length <= levels + some.length, `${shelf.loads.length} loads`);
  });

  it('F23: a reader that stops early loads no more', async () => {
    const { root, shelf } = await build(manyFiles(2000));
    for await (const _ of new TreeReader(root.id, shelf.load).records()) break;
    assert.equal(shelf.loads.length, levelsOf(shelf, root.id));
  });

  it('a damaged page is told with its range, and everything else is read', async () => {
    const records = manyFiles(200);
    const { root, shelf } = await build(records);
    for (const id of shelf.pages.keys()) {
      const lost: LostPage[] = [];
      const load = (page: BlockId): Promise<Uint8Array> =>
        page === id ? Promise.resolve(Buffer.of(9)) : shelf.load(page);
      const found = await all(new TreeReader(root.id, load, (page) => lost.push(page)).records());
      assert.equal(lost.length, 1);
      assert.equal(lost[0]!.id, id);
      refusedAs('damaged-page')(lost[0]!.error);
      const outside = records.filter((record) => !inLost(record, lost[0]!));
      assert.deepEqual(found, outside);
      assert.ok(found.length < records.length);
      await assert.rejects(all(new TreeReader(root.id, load).records()), refusedAs('damaged-page'));
    }
  });

  it('several damaged pages are each told, and the rest is read', async () => {
    const records = manyFiles(300);
    const { root, shelf } = await build(records);
    const leaves = [...shelf.pages]
      .filter(([, page]) => decodeTreePage(page).kind === 'leaf')
      .map(([id]) => id);
    const bad = new Set(leaves.filter((_, at) => at % 3 === 1));
    const lost: LostPage[] = [];
    const load = (page: BlockId): Promise<Uint8Array> =>
      bad.has(page) ? Promise.reject(new Error('gone')) : shelf.load(page);
    const found = await all(new TreeReader(root.id, load, (page) => lost.push(page)).records());
    assert.deepEqual(new Set(lost.map((page) => page.id as string)), bad);
    assert.deepEqual(
      found,
      records.filter((record) => !lost.some((page) => inLost(record, page))),
    );
  });

  it('F23: pages that are not where the page above says are refused, and no walk goes on for ever', async () => {
    const leaf = leafOf(['b', 'c']);
    const child = (id: string, last: string) => ({
      last: { path: last as PathKey, offset: 0 },
      id: idOf(id),
      length: 1,
      entries: 1,
      bytes: 1,
    });
    const roots: Record<string, Uint8Array> = {
      'says another end': encodeInnerPage(1, [child('leaf', 'd')]),
      'starts before its place': encodeInnerPage(1, [child('first', 'b'), child('leaf', 'c')]),
      'holds itself': encodeInnerPage(1, [child('root', 'c')]),
      'holds a page of its own level': encodeInnerPage(2, [child('two', 'c')]),
      'repeats a page': encodeInnerPage(1, [child('leaf', 'c'), child('leaf', 'd')]),
    };
    for (const [name, root] of Object.entries(roots)) {
      const two = encodeInnerPage(2, [child('leaf', 'c')]);
      const shelf = new Map(
        Object.entries({ leaf, first: leafOf(['b']), two, root }).map(([name, page]) => [idOf(name), page]),
      );
      const reader = new TreeReader(idOf('root'), (id) => Promise.resolve(shelf.get(id)!));
      await assert.rejects(all(reader.records()), refusedAs('damaged-page'), name);
    }
  });
});

/** An id that is easy to tell. */
const idOf = (name: string): BlockId => hashOf(Buffer.from(name)) as BlockId;

function leafOf(names: readonly string[]): Uint8Array {
  const writer = new LeafWriter();
  for (const name of names) writer.add(fileAt(name));
  return writer.finish();
}

function fileAt(path: string): TreeRecord {
  const stat = { mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0n, ctime: 0n, inode: 1n };
  return {
    kind: 'entry',
    entry: { path: path as PathKey, type: 'file', ...stat, unsettled: false, partial: false, extents: [] },
  };
}

/** Twenty files in each of many directories. */
const manyFiles = (count: number): TreeRecord[] =>
  Array.from({ length: count }, (_, at) =>
    fileAt(`d${String(Math.floor(at / 20)).padStart(2, '0')}\0f${String(at % 20).padStart(2, '0')}`),
  ).sort((a, b) => compareKeys(keyOf(a), keyOf(b)));

function levelsOf(shelf: PageShelf, root: BlockId): number {
  const page = decodeTreePage(shelf.pages.get(root)!);
  return page.kind === 'leaf' ? 1 : page.level + 1;
}

function inLost(record: TreeRecord, { after, last }: LostPage): boolean {
  const key = keyOf(record);
  return (after === null || compareKeys(key, after) > 0) && (last === null || compareKeys(key, last) <= 0);
}
