import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { clearBlock, HEADER_BYTES, type SealedBlock } from '../format/block.ts';
import { decodeRefsPage, encodeRefsInner, encodeRefsLeaf } from '../format/refs.ts';
import type { BlockId } from '../model/ids.ts';
import { tinyLimits } from '../model/limits.ts';
import {
  block,
  blocks,
  type BuiltSnapshot,
  idsOf,
  keys,
  newDepot,
  newNode,
  otherKeys,
  put,
  snapshotOf,
} from '../../test/support/depot-kit.ts';

const limits = { ...tinyLimits, ids_per_message: 10_000, refs_page_entries_average: 3 };
const universe = [
  ...blocks(30, 'u', 100),
  ...blocks(10, 'f', 100).map((_, n) => block(`f${n}`, 100, otherKeys)),
];

/** Everything that a walk over these refs may name, by definition and not by cleverness. */
class Model {
  readonly #pages: ReadonlyMap<BlockId, SealedBlock>;
  readonly #had: ReadonlySet<BlockId>;

  constructor(pages: readonly SealedBlock[], had: ReadonlySet<BlockId>) {
    this.#pages = new Map(pages.map((page) => [page.id, page]));
    this.#had = had;
  }

  /** Pages and blocks below a page as far as the pages are had; `skip` is not gone into and not named. */
  below(
    root: BlockId,
    skip: ReadonlySet<BlockId> = new Set(),
  ): { pages: Set<BlockId>; blocks: Set<BlockId> } {
    const found = { pages: new Set<BlockId>(), blocks: new Set<BlockId>() };
    const visit = (id: BlockId): void => {
      if (skip.has(id)) return;
      found.pages.add(id);
      if (!this.#had.has(id)) return;
      const page = decodeRefsPage(this.#pages.get(id)!.bytes.subarray(HEADER_BYTES));
      if (page.kind === 'leaf') for (const ref of page.refs) found.blocks.add(ref.id);
      else for (const child of page.children) visit(child.id);
    };
    visit(root);
    return found;
  }
}

const subset = fc.uniqueArray(fc.constantFrom(...universe), { selector: (one) => one.id, maxLength: 40 });

test('closure finds exactly what a plain search over refs and blocks finds', async () => {
  const cases = fc.record({
    base: subset,
    own: subset,
    /** How much of the base the snapshot goes on with. */
    carried: fc.double({ min: 0, max: 1, noNaN: true }),
    held: subset,
    lost: fc.array(fc.nat(20), { maxLength: 3 }),
    withBase: fc.boolean(),
    onlyMine: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ base, own, carried, held, lost, withBase, onlyMine }) => {
      const kept = base.slice(0, Math.ceil(base.length * carried));
      const content = [...new Map([...kept, ...own].map((one) => [one.id, one])).values()];
      const before = await snapshotOf(base, {}, limits);
      const after = await snapshotOf(content, { sequence: 2 }, limits);
      const pages = [...before.pages, ...after.pages];
      const dropped = new Set(lost.map((n) => pages[n]?.id));
      const depot = await newDepot(newNode({ limits }).boot());
      const here = [...held, ...pages].filter(({ id }) => !dropped.has(id));
      await put(depot, 'shared', here);
      const model = new Model(pages, new Set(idsOf(here)));
      const vouched = withBase
        ? model.below(before.signed.manifest.refs.id)
        : model.below('' as BlockId, new Set(['' as BlockId]));
      const named = model.below(after.signed.manifest.refs.id, vouched.pages);
      const counts = new Set(
        here.filter((one) => !onlyMine || !universe.slice(30).includes(one)).map(({ id }) => id),
      );
      const expected = [...named.pages, ...[...named.blocks].filter((id) => !vouched.blocks.has(id))];
      const closure = await depot.closure(after.signed, {
        base: withBase ? before.signed : null,
        ...(onlyMine && { domains: new Set([keys.id]) }),
      });
      assert.deepEqual(closure.missing.sort(), expected.filter((id) => !counts.has(id)).sort());
      assert.equal(closure.blocks, expected.length);
    }),
    { numRuns: 60, seed: 7 },
  );
});

async function depotWith(...built: readonly BuiltSnapshot[]) {
  const depot = await newDepot(newNode().boot());
  await put(
    depot,
    'shared',
    built.flatMap(({ pages }) => pages),
  );
  return depot;
}

test('missing is capped, and closes once what was named has come', async () => {
  const content = blocks(60, 'cap', 100);
  const built = await snapshotOf(content);
  const depot = await newDepot(newNode().boot());
  const all = new Map([...content, ...built.pages].map((one) => [one.id, one]));
  let rounds = 0;
  for (; ; rounds++) {
    const { missing } = await depot.closure(built.signed);
    assert.ok(missing.length <= tinyLimits.ids_per_message);
    if (missing.length === 0) break;
    await put(
      depot,
      'shared',
      missing.map((id) => all.get(id)!),
    );
  }
  assert.ok(rounds > 4);
  const { blocks: count, bytes } = await depot.closure(built.signed);
  assert.equal(count, all.size);
  assert.equal(
    bytes,
    [...all.values()].reduce((sum, one) => sum + one.bytes.length, 0),
  );
});

test('refs that lie about a length, or name as a page what is none, are refused', async () => {
  const one = block('one', 100);
  const page = clearBlock(keys.id, encodeRefsLeaf([{ id: one.id, length: one.bytes.length + 1 }]));
  const root = { id: page.id, length: page.bytes.length, blocks: 1, bytes: one.bytes.length };
  const lying = await snapshotOf([], { refs: root });
  const depot = await newDepot(newNode().boot());
  await put(depot, 'shared', [one, page]);
  await assert.rejects(depot.closure(lying.signed), { code: 'damaged-page' });
  const noPage = await snapshotOf([], { refs: { ...root, id: one.id, length: one.bytes.length } });
  await assert.rejects(depot.closure(noPage.signed), { code: 'damaged-page' });
});

test('refs that nest one page a thousand times cost no more than the page', async () => {
  let child = clearBlock(keys.id, encodeRefsLeaf([]));
  const pages = [child];
  for (let level = 1; level <= 12; level++) {
    const ref = { id: child.id, length: child.bytes.length, blocks: 0, bytes: 0 };
    child = clearBlock(
      keys.id,
      encodeRefsInner(
        level,
        Array.from({ length: 1000 }, () => ref),
      ),
    );
    pages.push(child);
  }
  const root = { id: child.id, length: child.bytes.length, blocks: 0, bytes: 0 };
  const { signed } = await snapshotOf([], { refs: root });
  const depot = await depotWith({ signed, pages });
  assert.equal((await depot.closure(signed)).blocks, pages.length);
  assert.deepEqual((await depot.closure(signed)).missing, []);
});

test('a base that a snapshot shares nearly all of costs reads of the few pages that differ', async () => {
  const content = blocks(300, 'many', 60);
  const before = await snapshotOf(content);
  const after = await snapshotOf([...content.slice(0, 150), block('new', 60), ...content.slice(151)]);
  const node = newNode();
  const depot = await newDepot(node.boot());
  await put(depot, 'shared', [...before.pages, ...after.pages]);
  let read = 0;
  node.simulation.observe(({ kind, detail }) => {
    if (kind === 'disk.read') read += Number(/\+(\d+)$/.exec(detail)![1]);
    return undefined;
  });
  const { missing } = await depot.closure(after.signed, { base: before.signed });
  assert.deepEqual(missing, [block('new', 60).id]);
  const leaves = before.pages.reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.ok(read < leaves * 2, `${read} bytes read, the base has ${leaves}`);
});
