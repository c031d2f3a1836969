import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { BlockId } from '../model/ids.ts';
import { type Limits, limits, tinyLimits } from '../model/limits.ts';
import {
  decodeRefsPage,
  encodeRefsInner,
  encodeRefsLeaf,
  newRefs,
  type Ref,
  RefsBuilder,
  type RefsRoot,
  walkRefs,
} from './refs.ts';
import { hashOf, PageShelf, refusedAs } from './test-support.ts';

const refAt = (number: number): Ref => ({
  id: hashOf(Buffer.from(`block ${number}`)) as BlockId,
  length: 100 + (number % 1000),
});

async function build(refs: readonly Ref[], shelf = new PageShelf(), bounds: Limits = tinyLimits) {
  const builder = new RefsBuilder(bounds, shelf.store);
  for (const ref of refs) {
    const closed = builder.add(ref);
    if (closed !== undefined) await closed;
  }
  return { root: await builder.finish(), shelf };
}

async function walked(root: RefsRoot, shelf: PageShelf): Promise<{ pages: BlockId[]; refs: Ref[] }> {
  const steps = await Array.fromAsync(walkRefs(root, shelf.load));
  return {
    pages: steps.flatMap((step) => (step.kind === 'page' ? [step.ref.id] : [])),
    refs: steps.flatMap((step) => (step.kind === 'blocks' ? step.refs : [])),
  };
}

const lists = fc.uniqueArray(fc.nat(5000), { maxLength: 300 }).map((numbers) => numbers.map(refAt));

/** A list and the same after some runs were cut out, put in or replaced. */
const edits = fc.array(
  fc.tuple(fc.nat(), fc.nat(20), fc.uniqueArray(fc.integer({ min: 9000, max: 9400 }), { maxLength: 12 })),
  { maxLength: 4 },
);
const pairs = fc.tuple(lists, edits).map(([before, edits]): [Ref[], Ref[]] => {
  let after = before;
  for (const [at, lost, added] of edits)
    after = after.toSpliced(at % (after.length + 1), lost, ...added.map(refAt));
  return [before, [...new Map(after.map((ref) => [ref.id, ref])).values()]];
});

describe('refs (format F30-F33)', () => {
  it('F30: any list round-trips through a leaf, any children through an inner page', () => {
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 16 }), (refs, level) => {
        assert.deepEqual(decodeRefsPage(encodeRefsLeaf(refs)), { kind: 'leaf', refs });
        const children = refs
          .slice(0, 50)
          .map((ref, at) => ({ ...ref, blocks: at + 1, bytes: 2 ** 50 - at }));
        if (children.length === 0) return;
        assert.deepEqual(decodeRefsPage(encodeRefsInner(level, children)), {
          kind: 'inner',
          level,
          children,
        });
      }),
    );
  });

  it('F30: cut, lengthened and malformed pages are refused', () => {
    const leaf = encodeRefsLeaf([refAt(1), refAt(2)]);
    const inner = encodeRefsInner(1, [{ ...refAt(1), blocks: 1, bytes: 1 }]);
    for (const page of [leaf, inner]) {
      for (let length = 0; length < page.length; length++) {
        assert.throws(() => decodeRefsPage(page.subarray(0, length)), refusedAs('damaged-page'));
      }
      assert.throws(() => decodeRefsPage(Buffer.concat([page, Buffer.of(0)])), refusedAs('damaged-page'));
    }
    const level17 = Buffer.from(inner).fill(17, 1, 2);
    const level0 = Buffer.from(inner).fill(0, 1, 2);
    const kind3 = Buffer.from(leaf).fill(3, 0, 1);
    for (const page of [level17, level0, kind3, encodeRefsInner(1, [])]) {
      assert.throws(() => decodeRefsPage(page), refusedAs('damaged-page'));
    }
  });

  it('F30: a walk gives every block once, in order, and the root adds them up', async () => {
    await fc.assert(
      fc.asyncProperty(lists, async (refs) => {
        const { root, shelf } = await build(refs);
        const found = await walked(root, shelf);
        assert.deepEqual(found.refs, refs);
        assert.equal(root.blocks, refs.length);
        assert.equal(
          root.bytes,
          refs.reduce((sum, ref) => sum + ref.length, 0),
        );
        assert.deepEqual(new Set<string>(found.pages), new Set(shelf.pages.keys()));
      }),
      { numRuns: 60 },
    );
  });

  it('F31: no page exceeds its bound', async () => {
    const { shelf } = await build(Array.from({ length: 5000 }, (_, at) => refAt(at)));
    for (const payload of shelf.pages.values()) {
      const page = decodeRefsPage(payload);
      const count = page.kind === 'leaf' ? page.refs.length : page.children.length;
      assert.ok(count <= tinyLimits.refs_page_entries_max && count > 0);
    }
  });

  it('F31: one new block among 100,000 rewrites a handful of pages', async () => {
    const refs = Array.from({ length: 100_000 }, (_, at) => refAt(at));
    const before = await build(refs, new PageShelf(), limits);
    assert.ok(before.shelf.pages.size > 380 && before.shelf.pages.size < 540, `${before.shelf.pages.size}`);
    for (const after of [refs.with(51_234, refAt(100_001)), refs.toSpliced(70_000, 0, refAt(100_001))]) {
      const { shelf } = await build(after, new PageShelf(), limits);
      const added = [...shelf.pages.keys()].filter((id) => !before.shelf.pages.has(id));
      assert.ok(added.length <= 5, `${added.length} pages`);
    }
  });

  it('F33: newRefs is the set difference, pages included, each once and in order', async () => {
    await fc.assert(
      fc.asyncProperty(pairs, async ([before, after]) => {
        const shelf = new PageShelf();
        const base = (await build(before, shelf)).root;
        const root = (await build(after, shelf)).root;
        const found = (await Array.fromAsync(newRefs(root, base, shelf.load))).flat();
        const [was, is] = [await walked(base, shelf), await walked(root, shelf)];
        const known = new Set<string>([...was.pages, ...was.refs.map((ref) => ref.id)]);
        const expected = [...is.pages, ...is.refs.map((ref) => ref.id)].filter((id) => !known.has(id));
        assert.deepEqual(found.map((ref) => ref.id).sort(), expected.sort());
        const order = found.filter((ref) => !shelf.pages.has(ref.id));
        assert.deepEqual(
          order,
          is.refs.filter((ref) => !known.has(ref.id)),
        );
      }),
      { numRuns: 150 },
    );
  });

  it('F33: without a base everything is new', async () => {
    const { root, shelf } = await build(Array.from({ length: 200 }, (_, at) => refAt(at)));
    const found = (await Array.fromAsync(newRefs(root, null, shelf.load))).flat();
    assert.equal(found.length, 200 + shelf.pages.size);
    for (const ref of found) assert.equal(shelf.pages.get(ref.id)?.length ?? ref.length, ref.length);
  });

  it('F33: newRefs loads the inner pages and the leaves that differ, not the rest', async () => {
    const refs = Array.from({ length: 20_000 }, (_, at) => refAt(at));
    const shelf = new PageShelf();
    const base = (await build(refs, shelf, limits)).root;
    const root = (await build(refs.with(7000, refAt(99_999)), shelf, limits)).root;
    const leaves = [...shelf.pages.values()].filter((page) => page[0] === 1).length;
    assert.ok(leaves > 60);
    shelf.loads.length = 0;
    await Array.fromAsync(newRefs(root, base, shelf.load));
    const loaded = shelf.loads.filter((id) => shelf.pages.get(id)![0] === 1);
    assert.ok(loaded.length <= 4, `${loaded.length} leaves of ${leaves}`);
    shelf.loads.length = 0;
    assert.deepEqual(await Array.fromAsync(newRefs(root, root, shelf.load)), []);
    assert.ok(shelf.loads.every((id) => shelf.pages.get(id)![0] === 2));
  });

  it('F32: a page that is not what the page above announces is refused', async () => {
    const leaf = encodeRefsLeaf([refAt(1), refAt(2)]);
    const bytes = refAt(1).length + refAt(2).length;
    const shelf = new PageShelf();
    const { id, length } = await shelf.store(leaf);
    const child = { id, length, blocks: 2, bytes };
    const rootOf = async (level: number, children: readonly RefsRoot[]): Promise<RefsRoot> => {
      const stored = await shelf.store(encodeRefsInner(level, children));
      const sum = (of: (child: RefsRoot) => number) =>
        children.reduce((total, child) => total + of(child), 0);
      return { ...stored, blocks: sum((child) => child.blocks), bytes: sum((child) => child.bytes) };
    };
    const empty = await shelf.store(encodeRefsLeaf([]));
    const good = await rootOf(1, [child]);
    await Array.fromAsync(walkRefs(good, shelf.load));
    const bad = [
      { ...good, blocks: 3 },
      { ...good, bytes: bytes + 1 },
      await rootOf(1, [{ ...child, blocks: 1 }]),
      await rootOf(1, [{ ...child, bytes: 1 }]),
      await rootOf(2, [child]),
      await rootOf(1, [good]),
      await rootOf(1, [{ ...empty, blocks: 0, bytes: 0 }]),
    ];
    for (const root of bad) {
      await assert.rejects(Array.fromAsync(walkRefs(root, shelf.load)), refusedAs('damaged-page'));
      await assert.rejects(Array.fromAsync(newRefs(root, null, shelf.load)), refusedAs('damaged-page'));
    }
  });

  it('F32: pages that repeat pages cost no more than the manifest announces', async () => {
    const shelf = new PageShelf();
    const leaf = await shelf.store(encodeRefsLeaf([refAt(1)]));
    let page: RefsRoot = { ...leaf, blocks: 1, bytes: refAt(1).length };
    for (let level = 1; level <= 6; level++) {
      const children = Array.from({ length: 100 }, () => page);
      const stored = await shelf.store(encodeRefsInner(level, children));
      page = { ...stored, blocks: page.blocks * 100, bytes: page.bytes * 100 };
    }
    const announced = { ...page, blocks: 1000, bytes: 101_000 };
    shelf.loads.length = 0;
    await assert.rejects(Array.fromAsync(walkRefs(announced, shelf.load)), refusedAs('damaged-page'));
    assert.equal(shelf.loads.length, 1);
  });
});
