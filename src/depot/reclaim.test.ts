import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { BlockId } from '../model/ids.ts';
import {
  block,
  blocks,
  DEPOT,
  errorsOf,
  idsOf,
  newDepot,
  newNode,
  put,
  readAll,
  readIds,
  snapshotOf,
} from '../../test/support/depot-kit.ts';
import { Depot, META_GROUP } from './depot.ts';

test('dropping a group frees its packs and leaves every other', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const [mine, others] = [blocks(60, 'mine'), blocks(10, 'others')];
  await put(depot, 'run-1', mine);
  await put(depot, 'run-2', others);
  const before = await depot.usage();
  const mineBefore = await depot.usage('run-1');
  assert.equal(await depot.dropGroup('run-1'), mineBefore.bytes);
  assert.equal((await depot.usage()).bytes, before.bytes - mineBefore.bytes);
  assert.equal((await depot.has(null, idsOf(mine))).size, 0);
  assert.equal(readIds(await readAll(depot, idsOf(others))).length, 10);
  assert.equal(node.disk.paths().filter((path) => path.endsWith('.pack')).length, 1);
  assert.equal(await depot.dropGroup('run-1'), 0, 'again');
  assert.equal(await depot.dropGroup('never-was'), 0);
});

test('what a drop keeps is in the group meta, once', async () => {
  const depot = await newDepot(newNode().boot());
  const list = blocks(10);
  const keep = new Set(idsOf(list.slice(2, 5)));
  await put(depot, META_GROUP, list.slice(4, 5));
  await put(depot, 'run-1', list);
  await depot.dropGroup('run-1', new Set([...keep, block('never here').id]));
  assert.deepEqual(await depot.has(null, idsOf(list)), keep);
  assert.equal((await depot.usage(META_GROUP)).blocks, 3);
  assert.deepEqual(await depot.groups(), [META_GROUP]);
});

test('a damaged block that was to be kept does not keep its group', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const list = blocks(4);
  await put(depot, 'run-1', list);
  const path = node.disk.paths().find((name) => name.endsWith('.pack'))!;
  node.disk.corrupt(path, 32 + 100, 1);
  await depot.dropGroup('run-1', new Set(idsOf(list.slice(0, 2))));
  assert.deepEqual(await depot.has(null, idsOf(list)), new Set([list[1]!.id]));
  assert.deepEqual(
    node.simulation.recorder.problems().map(({ code }) => code),
    ['damaged-block'],
  );
});

test('a drop that cannot keep what it must keep drops nothing', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const list = blocks(4);
  await put(depot, 'run-1', list);
  const fault = node.faults.inject({ kind: 'disk.sync', path: 'meta', times: Infinity, error: 'ENOSPC' });
  await assert.rejects(depot.dropGroup('run-1', new Set([list[0]!.id])), { code: 'disk-full' });
  assert.equal((await depot.has(null, idsOf(list))).size, 4);
  fault.lift();
  await depot.dropGroup('run-1', new Set([list[0]!.id]));
  assert.deepEqual(await depot.has(null, idsOf(list)), new Set([list[0]!.id]));
});

test('a group that is being written is not dropped, and its open pack is not compacted', async () => {
  const depot = await newDepot(newNode().boot());
  const writer = depot.writer('shared');
  await writer.add(block('one'));
  await writer.flush();
  await assert.rejects(depot.dropGroup('shared'), TypeError);
  assert.equal(await depot.compactGroup('shared', () => false), 0);
  assert.equal((await depot.has(null, [block('one').id])).size, 1);
  await writer.finish();
  assert.ok((await depot.compactGroup('shared', () => false)) > 0);
  assert.deepEqual(await depot.groups(), []);
});

test('compaction keeps exactly what lives in packs that are mostly dead, and touches no other', async () => {
  const list = blocks(64, 'c', 700);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(63), { maxLength: 64 }),
      fc.constantFrom(0, 0.25, 0.5, 1),
      async (lives, threshold) => {
        const node = newNode();
        const depot = await newDepot(node.boot());
        const packs = [0, 16, 32, 48].map((at) => list.slice(at, at + 16));
        for (const pack of packs) await put(depot, 'shared', pack);
        await put(depot, 'other', [list[0]!]);
        const live = new Set(lives.map((number) => list[number]!.id));
        const usage = await depot.usage('shared');
        const freed = await depot.compactGroup('shared', (id) => live.has(id), { threshold: threshold });
        const expected = new Set<BlockId>([list[0]!.id]);
        let rewritten = 0;
        for (const pack of packs) {
          const alive = pack.filter(({ id }) => live.has(id));
          const worth = alive.length < threshold * pack.length;
          if (worth) rewritten += alive.length;
          for (const { id } of worth ? alive : pack) expected.add(id);
        }
        assert.deepEqual(await depot.has(null, idsOf(list)), expected);
        assert.deepEqual(errorsOf(await readAll(depot, [...expected])), new Map());
        const after = await depot.usage('shared');
        const headers = rewritten === 0 ? 0 : 32 + 8 + 44 + 61 * rewritten;
        assert.equal(after.bytes, usage.bytes - freed + headers);
        assert.deepEqual(await Array.fromAsync(depot.verify({ data: true })), []);
        node.crash('lose');
        const again = await Depot.open(node.boot(), DEPOT, 'write');
        assert.deepEqual(await again.has(null, idsOf(list)), expected);
      },
    ),
    { numRuns: 25, seed: 3 },
  );
});

test('what a pinned snapshot names is spared, and goes when the pin is gone', async () => {
  const depot = await newDepot(newNode().boot());
  const [pinned, dead] = [blocks(3, 'pinned'), blocks(12, 'dead')];
  const built = await snapshotOf(pinned);
  await put(depot, 'shared', [...pinned, ...dead, ...built.pages]);
  await depot.pin(built.signed.id, built.signed.manifest.refs);
  await depot.compactGroup('shared', () => false);
  const all = idsOf([...pinned, ...dead, ...built.pages]);
  assert.deepEqual(await depot.has(null, all), new Set(idsOf([...pinned, ...built.pages])));
  assert.deepEqual((await depot.closure(built.signed)).missing, []);
  await depot.unpin(built.signed.id);
  await depot.compactGroup('shared', () => false);
  assert.equal((await depot.has(null, all)).size, 0);
});

test('a commit beside a compaction has all of its blocks or is told which are missing', async () => {
  let committed = 0;
  let refused = 0;
  // Turns that the compaction starts before the commit, or after it.
  for (let ahead = -480; ahead < 60; ahead += 6) {
    const depot = await newDepot(newNode({}, ahead).boot());
    const [content, alive] = [blocks(12, 'race', 300), blocks(4, 'alive', 300)];
    const built = await snapshotOf(content);
    await put(depot, 'shared', [...content, ...built.pages, ...alive]);
    const wait = async (turns: number): Promise<void> => {
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    };
    const commit = async (): Promise<boolean> => {
      await wait(ahead);
      await depot.pin(built.signed.id, built.signed.manifest.refs);
      const { missing } = await depot.closure(built.signed);
      await depot.unpin(built.signed.id);
      return missing.length === 0;
    };
    const live = new Set(idsOf(alive));
    const compaction = wait(-ahead).then(() => depot.compactGroup('shared', (id) => live.has(id)));
    const good = await commit();
    // Once it has been committed, its owner would call its blocks alive.
    if (good) for (const { id } of [...content, ...built.pages]) live.add(id);
    await compaction;
    if (good) assert.deepEqual((await depot.closure(built.signed)).missing, [], `${ahead} turns ahead`);
    if (good) committed++;
    else refused++;
  }
  assert.ok(committed > 5 && refused > 5, `${committed} committed, ${refused} refused`);
});

test('what was condemned when the power went is had again', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const list = blocks(8);
  await put(depot, 'shared', list);
  const live = new Set(idsOf(list.slice(0, 2)));
  const condemned: number[] = [];
  node.simulation.observe(({ kind }) => (kind === 'disk.create' ? 'crash-before' : undefined));
  void depot.compactGroup('shared', (id) => live.has(id));
  await node.simulation.settle();
  assert.ok(!node.running);
  const reader = await Depot.open(node.boot(), DEPOT, 'read');
  condemned.push((await reader.has(null, idsOf(list))).size);
  await reader.close();
  const again = await Depot.open(node.boot(), DEPOT, 'write');
  condemned.push((await again.has(null, idsOf(list))).size);
  assert.deepEqual(condemned, [2, 8]);
});

test('reads go on while packs are compacted and dropped under them', async () => {
  for (let seed = 0; seed < 10; seed++) {
    const node = newNode({}, seed);
    const depot = await newDepot(node.boot());
    const list = blocks(40, 'moving', 700);
    await put(depot, 'shared', list);
    const live = new Set(idsOf(list.filter((_, at) => at % 4 === 0)));
    const [reads] = await Promise.all([
      readAll(depot, [...live]),
      depot.compactGroup('shared', (id) => live.has(id)),
    ]);
    assert.deepEqual(readIds(reads), [...live].sort());
    const [dropped] = await Promise.all([readAll(depot, [...live]), depot.dropGroup('shared')]);
    for (const read of dropped) {
      if ('error' in read) assert.equal(read.error.code, 'block-unavailable');
    }
    assert.deepEqual(node.simulation.recorder.events('alarm'), [], 'a pack that was dropped is not damaged');
  }
});

test('a compaction that fails leaves everything to be had', async () => {
  for (const kind of ['disk.create', 'disk.write', 'database.commit']) {
    for (let skip = 0; skip < 6; skip++) {
      const node = newNode();
      const depot = await newDepot(node.boot());
      const list = blocks(8);
      await put(depot, 'shared', list);
      const fault = node.faults.inject({ kind, skip, times: Infinity, error: 'ENOSPC' });
      const live = new Set(idsOf(list.slice(0, 2)));
      await depot.compactGroup('shared', (id) => live.has(id)).catch(() => 0);
      fault.lift();
      node.crash('lose');
      const again = await Depot.open(node.boot(), DEPOT, 'write');
      const had = await again.has(null, idsOf(list));
      assert.ok([...live].every((id) => had.has(id)));
      assert.ok(had.size === 8 || had.size === 2, `${had.size} of 8`);
      assert.deepEqual(await Array.fromAsync(again.verify({ data: true })), []);
    }
  }
});
