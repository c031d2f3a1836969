import assert from 'node:assert/strict';
import { it } from 'node:test';
import * as fc from 'fast-check';
import { refusedAs, inOrder, PageShelf, recordLists, testKeys } from './test-support.ts';
import { tinyLimits } from '../model/limits.ts';
import type { BlockId } from '../model/ids.ts';
import type { PathKey } from '../model/paths.ts';
import { LeafView } from './leaf-view.ts';
import { TreeBuilder } from './tree-builder.ts';
import { LeafWriter } from './leaf-writer.ts';
import { decodeTreePage, keyOf, type TreeRecord } from './tree-page.ts';
import { TreeReader } from './tree-reader.ts';

type Built = { readonly shelf: PageShelf; readonly id: PageId };
type PageId = BlockId;

async function built(records: readonly TreeRecord[]): Promise<Built> {
  const shelf = new PageShelf();
  const builder = new TreeBuilder(testKeys, tinyLimits, shelf.store);
  for (const record of records) await builder.add(record);
  return { shelf, id: (await builder.finish()).id };
}

/** The same tree from the leaves of another: what is in `changed` is added as a record, the rest as it is. */
async function carried(
  base: Built,
  changed: ReadonlySet<number>,
): Promise<Built & { readonly kept: number }> {
  const shelf = new PageShelf();
  const builder = new TreeBuilder(testKeys, tinyLimits, shelf.store);
  const reader = new TreeReader(base.id, async (id: PageId) => base.shelf.pages.get(id)!);
  let seen = 0;
  let kept = 0;
  for await (const { id, view } of reader.leaves()) {
    const isCarried = (at: number): boolean => !changed.has(seen + at) && view.isWhole(at);
    const whole = Array.from({ length: view.count }, (_, at) => at).every(isCarried);
    if (whole && builder.wouldKeep(view)) {
      await builder.keepPage(view, { id, length: view.payload.length });
      kept++;
    } else {
      for (let at = 0; at < view.count;) {
        let end = at;
        while (end < view.count && isCarried(end)) end++;
        if (end > at) {
          end = builder.runEnd(view, at, end);
          await builder.addRun(view, at, end, { first: view.pathAt(at), last: view.pathAt(end - 1) });
        } else {
          await builder.add(view.recordAt(at, view.pathAt(at)));
          end++;
        }
        at = end;
      }
    }
    seen += view.count;
  }
  return { shelf, id: (await builder.finish()).id, kept };
}

const withAttributes = (record: TreeRecord): TreeRecord =>
  record.kind === 'entry' && record.entry.extra === undefined
    ? { kind: 'entry', entry: { ...record.entry, extra: Uint8Array.of(160) } }
    : record;

it('F22: a tree of pages and records that were kept is the tree that encoding anew gives', async () => {
  let kept = 0;
  const property = fc.asyncProperty(recordLists(60), fc.uniqueArray(fc.nat(60)), async (list, changed) => {
    const base = await built(inOrder(list).map(withAttributes));
    const again = await carried(base, new Set(changed));
    assert.equal(again.id, base.id);
    for (const page of again.shelf.pages.keys()) assert.ok(base.shelf.pages.has(page));
    kept += again.kept;
  });
  await fc.assert(property, { numRuns: 200 });
  assert.ok(kept > 0);
});

it('F24: a view tells of every record what decoding tells', () => {
  fc.assert(
    fc.property(recordLists(40), (list) => {
      const writer = new LeafWriter();
      for (const record of inOrder(list)) writer.add(record);
      const payload = writer.finish();
      const page = decodeTreePage(payload);
      assert.ok(page.kind === 'leaf');
      const view = new LeafView(payload);
      assert.equal(view.count, page.records.length);
      assert.deepEqual([view.first, view.last], [first(page.records), first([...page.records].reverse())]);
      for (const [at, record] of page.records.entries()) compare(view, at, record);
    }),
  );
});

const first = ([record]: readonly TreeRecord[]): unknown => (record === undefined ? null : keyOf(record));

function compare(view: LeafView, at: number, record: TreeRecord): void {
  const path = keyOf(record).path;
  assert.equal(view.pathAt(at), path);
  assert.deepEqual(view.recordAt(at, path), record);
  const extents = record.kind === 'entry' ? record.entry.extents : record.extents;
  const chunks = extents.filter((extent) => extent.kind === 'data');
  const seen = view.chunksAt(at);
  assert.deepEqual(
    seen.map(({ idAt, offset, length }) => [view.payload.toString('hex', idAt, idAt + 32), offset, length]),
    chunks.map(({ block, offset, length }) => [block, offset, length]),
  );
  assert.equal(view.isEntry(at), record.kind === 'entry');
  if (record.kind !== 'entry') return;
  const { entry } = record;
  assert.equal(view.sizeAt(at), entry.size);
  assert.equal(view.linkAt(at), entry.link?.fileSystem ?? -1);
  if (entry.target !== undefined) {
    const { start, end } = view.targetAt(at);
    assert.equal(view.payload.toString('latin1', start, end), entry.target);
  }
}

it('F20: a page that was cut short or goes on after its end is refused', () => {
  const writer = new LeafWriter();
  for (const name of ['a', 'b', 'b\0c'])
    writer.add({
      kind: 'continuation',
      path: name as PathKey,
      offset: 5,
      extents: [{ kind: 'hole', length: 9 }],
    });
  const payload = writer.finish();
  for (let length = 1; length < payload.length; length++)
    assert.throws(() => new LeafView(payload.subarray(0, length)), refusedAs('damaged-page'));
  assert.throws(() => new LeafView(Buffer.concat([payload, Buffer.alloc(1)])), refusedAs('damaged-page'));
});

it('F21: a page with records out of order, or one of them twice, is refused', () => {
  const record = (name: string): TreeRecord => ({
    kind: 'continuation',
    path: name as PathKey,
    offset: 5,
    extents: [{ kind: 'hole', length: 9 }],
  });
  for (const names of [
    ['b', 'a'],
    ['ab', 'aa'],
    ['ab', 'a'],
  ]) {
    const writer = new LeafWriter();
    for (const name of names) writer.add(record(name));
    const payload = writer.finish();
    assert.throws(() => new LeafView(payload), refusedAs('damaged-page'), names.join());
  }
});
