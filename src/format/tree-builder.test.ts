import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { BlockId } from '../model/ids.ts';
import { type Limits, limits, tinyLimits } from '../model/limits.ts';
import type { PathKey } from '../model/paths.ts';
import { deriveDomainKeys, type DomainKeys } from './domain-keys.ts';
import { inOrder, PageShelf, recordLists, secretOf, testKeys } from './test-support.ts';
import { TreeBuilder, type TreeRoot } from './tree-builder.ts';
import { decodeTreePage, keyOf, type TreeKey, type TreeRecord } from './tree-page.ts';

interface BuiltTree {
  readonly root: TreeRoot;
  readonly shelf: PageShelf;
}

async function build(
  records: readonly TreeRecord[],
  bounds: Limits = tinyLimits,
  keys: DomainKeys = testKeys,
): Promise<BuiltTree> {
  const shelf = new PageShelf();
  const builder = new TreeBuilder(keys, bounds, shelf.store);
  for (const record of records) {
    const closed = builder.add(record);
    if (closed !== undefined) await closed;
  }
  return { root: await builder.finish(), shelf };
}

/** Level and last key of every page, in the order of the tree. */
function pageEnds({ root, shelf }: BuiltTree): { level: number; last: TreeKey | null }[] {
  const ends: { level: number; last: TreeKey | null }[] = [];
  const visit = (id: BlockId): void => {
    const page = decodeTreePage(shelf.pages.get(id)!);
    const last = page.kind === 'leaf' ? page.records.map(keyOf).at(-1) : page.children.at(-1)!.last;
    ends.push({ level: page.kind === 'leaf' ? 0 : page.level, last: last ?? null });
    if (page.kind === 'inner') for (const child of page.children) visit(child.id);
  };
  visit(root.id);
  return ends;
}

const newPages = (of: BuiltTree, than: BuiltTree): number =>
  [...of.shelf.pages.keys()].filter((id) => !than.shelf.pages.has(id)).length;

function file(path: string, changed = 0n): TreeRecord {
  return {
    kind: 'entry',
    entry: {
      path: path as PathKey,
      type: 'file',
      mode: 0o644,
      uid: 1000,
      gid: 1000,
      size: 100,
      mtime: 1_700_000_000_000_000_000n + changed,
      ctime: 1_700_000_000_000_000_000n + changed,
      inode: 7n,
      unsettled: false,
      partial: false,
      extents: [],
    },
  };
}

/** The same key with other times, modes, owners, sizes, inodes and flags. */
function touched(record: TreeRecord, by: number): TreeRecord {
  if (record.kind === 'continuation') return record;
  const { entry } = record;
  return {
    kind: 'entry',
    entry: {
      ...entry,
      mode: (entry.mode + by) % 0o10000,
      uid: by,
      gid: by,
      size: by,
      mtime: entry.mtime + BigInt(by),
      ctime: entry.ctime - BigInt(by),
      inode: BigInt(by),
      unsettled: by % 2 === 0,
    },
  };
}

const names = (count: number): string[] =>
  Array.from(
    { length: count },
    (_, at) => `home\0ann\0directory ${String(at % 300).padStart(3, '0')}\0file ${at}.txt`,
  );

describe('building trees (format F20-F23)', () => {
  it('F22: the end of a page never moves when only times, modes, owners, sizes and inodes change', async () => {
    await fc.assert(
      fc.asyncProperty(recordLists(150), fc.nat(1000), async (records, by) => {
        const before = await build(records);
        const after = await build(records.map((record) => touched(record, by)));
        assert.deepEqual(pageEnds(after), pageEnds(before));
      }),
      { numRuns: 60 },
    );
  });

  it('F22: page ends tell nothing without the key: another domain ends pages elsewhere', async () => {
    const records = inOrder(names(400).map((name) => file(name)));
    const other = deriveDomainKeys(secretOf('other domain'));
    assert.notDeepEqual(pageEnds(await build(records, tinyLimits, other)), pageEnds(await build(records)));
  });

  it('F22: the same records give the same pages, whatever was built before', async () => {
    const records = inOrder(names(300).map((name) => file(name)));
    const [one, two] = [await build(records), await build(records)];
    assert.deepEqual([one.root, one.shelf.pages], [two.root, two.shelf.pages]);
  });

  it('F23: counts and bytes add up at every level', async () => {
    await fc.assert(
      fc.asyncProperty(recordLists(120), async (records) => {
        const entries = records.filter((record) => record.kind === 'entry').map((record) => record.entry);
        const small = entries.map((entry) => ({ ...entry, size: entry.size % 1000 }));
        const list = records.map((record) =>
          record.kind === 'entry' ? { ...record, entry: small[entries.indexOf(record.entry)]! } : record,
        );
        const { root } = await build(list);
        assert.equal(root.entries, entries.length);
        const files = small.filter((entry) => entry.type === 'file');
        assert.equal(
          root.bytes,
          files.reduce((sum, entry) => sum + entry.size, 0),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('F23: no page exceeds its bounds, and an inner page has two children unless it is the last of its level', async () => {
    const records = inOrder(names(3000).map((name) => file(name)));
    const built = await build(records);
    const singles: number[] = [];
    for (const payload of built.shelf.pages.values()) {
      const page = decodeTreePage(payload);
      const count = page.kind === 'leaf' ? page.records.length : page.children.length;
      assert.ok(count <= tinyLimits.tree_page_entries_max);
      if (page.kind === 'inner' && count < 2) singles.push(page.level);
    }
    assert.ok(new Set(singles).size === singles.length, 'one a level');
  });

  it('F23: a page of few but long paths is bounded in bytes', async () => {
    const long = 'x'.repeat(200);
    const deep = Array.from({ length: 3000 }, (_, at) => file(`${String(at).padStart(5, '0')}\0${long}`));
    const bounds = { ...tinyLimits, tree_page_entries_average: 2 ** 31, tree_page_entries_max: 1600 };
    const { shelf } = await build(deep, { ...bounds, tree_page_bytes_max: 4096 });
    for (const payload of shelf.pages.values()) assert.ok(payload.length < 2 * 4096);
  });

  it('F21: records out of order are a bug of the caller', async () => {
    await assert.rejects(build([file('b'), file('a')]), TypeError);
    await assert.rejects(build([file('a'), file('a')]), TypeError);
  });

  it('F20: an empty tree is one empty leaf', async () => {
    const { root, shelf } = await build([]);
    assert.deepEqual(decodeTreePage(shelf.pages.get(root.id)!), { kind: 'leaf', records: [] });
    assert.deepEqual({ entries: root.entries, bytes: root.bytes }, { entries: 0, bytes: 0 });
  });
});

describe('what one change costs in a tree of 100,000 files (format F22)', () => {
  it('F22: one changed, one new, one lost file each rewrite a handful of pages', async () => {
    const list = names(100_000);
    const records = inOrder(list.map((name) => file(name)));
    const before = await build(records, limits);
    assert.ok(
      before.shelf.pages.size > 400 && before.shelf.pages.size < 650,
      `${before.shelf.pages.size} pages`,
    );

    const at = 54_321;
    const changed = await build(records.with(at, touched(records[at]!, 5)), limits);
    assert.equal(newPages(changed, before), pageLevels(before));

    const added = await build(inOrder([...records, file(list[777] + '.new')]), limits);
    assert.ok(newPages(added, before) <= pageLevels(before) + 2, `${newPages(added, before)} pages`);

    const lost = await build(records.toSpliced(at, 1), limits);
    assert.ok(newPages(lost, before) <= pageLevels(before) + 2, `${newPages(lost, before)} pages`);
  });
});

function pageLevels({ root, shelf }: BuiltTree): number {
  const page = decodeTreePage(shelf.pages.get(root.id)!);
  return page.kind === 'leaf' ? 1 : page.level + 1;
}
