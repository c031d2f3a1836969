import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { blockIdOf } from '../format/block.ts';
import type { BlockId } from '../model/ids.ts';
import type { SimulatedNode } from '../sim/node.ts';
import { writeDurably } from '../world/disk/durable.ts';
import type { World } from '../world/ports.ts';
import {
  block,
  blocks,
  DEPOT,
  errorsOf,
  fakeSnapshotId,
  idsOf,
  keys,
  newDepot,
  newNode,
  otherKeys,
  put,
  readAll,
  readIds,
} from '../../test/support/depot-kit.ts';
import { Depot, depotSource } from './depot.ts';

/** A world that keeps the statements of its databases. */
function watchingSql(world: World): { world: World; sql: string[] } {
  const sql: string[] = [];
  const open: World['databases']['open'] = async (path) => {
    const connection = await world.databases.open(path);
    return {
      execute: (text, parameters) => {
        sql.push(text);
        return connection.execute(text, parameters);
      },
      close: () => connection.close(),
    };
  };
  const openReadOnly: World['databases']['openReadOnly'] = (path) => world.databases.openReadOnly(path);
  return { world: { ...world, databases: { open, openReadOnly } }, sql };
}

/** Lengths of the disk reads that `work` does. */
async function readsOf(node: SimulatedNode, work: () => Promise<unknown>): Promise<number[]> {
  const lengths: number[] = [];
  const end = node.simulation.observe(({ kind, detail }) => {
    if (kind === 'disk.read') lengths.push(Number(/\+(\d+)$/.exec(detail)![1]));
    return undefined;
  });
  await work();
  end();
  return lengths;
}

const sameBytes = (a: Uint8Array, b: Uint8Array): void => assert.equal(Buffer.compare(a, b), 0);

test('what was flushed is read, counted and found again after reopening', async () => {
  const world = newNode().boot();
  const depot = await newDepot(world);
  const list = blocks(60);
  await put(depot, 'shared', list);
  const usage = await depot.usage();
  assert.equal(usage.blocks, 60);
  assert.ok(usage.packs > 1, 'packs are limited in size');
  const reads = await readAll(depot, idsOf(list));
  assert.deepEqual(readIds(reads), idsOf(list).sort());
  for (const read of reads) assert.ok('bytes' in read && blockIdOf(read.bytes) === read.id);
  await depot.close();
  const again = await Depot.open(world, DEPOT, 'write');
  assert.equal(again.id, depot.id);
  assert.deepEqual(await again.has(null, idsOf(list)), new Set(idsOf(list)));
  assert.deepEqual(await again.usage(), usage);
  assert.deepEqual(await again.groups(), ['shared']);
  assert.deepEqual(await again.usage('other'), { bytes: 0, blocks: 0, packs: 0 });
});

test('create refuses whatever is not an empty directory, and finishes what a crash left', async () => {
  const node = newNode();
  const world = node.boot();
  await Depot.create(world, DEPOT);
  await assert.rejects(Depot.create(world, DEPOT), { code: 'depot-exists' });
  await world.disk.makeDirectory('/full/stuff');
  await assert.rejects(Depot.create(world, '/full'), { code: 'depot-exists' });
  await (await world.disk.create('/file')).close();
  await assert.rejects(Depot.create(world, '/file'), { code: 'depot-exists' });
  await world.disk.makeDirectory('/half/packs');
  await world.disk.makeDirectory('/half/manifests');
  await (await world.disk.create('/half/.config.spare.0.tmp')).close();
  await assert.rejects(Depot.open(world, '/half', 'write'), { code: 'not-a-depot' });
  await Depot.create(world, '/half');
  await (await Depot.open(world, '/half', 'write')).close();
});

test('open says what is wrong: no depot, a newer format, both configs damaged', async () => {
  const node = newNode();
  const world = node.boot();
  await assert.rejects(Depot.open(world, '/nothing', 'read'), { code: 'not-a-depot' });
  await Depot.create(world, DEPOT);
  const at = Buffer.from(node.disk.bytesOf(`${DEPOT}/config`)).indexOf('createdAt');
  node.disk.corrupt(`${DEPOT}/config`, at, 1);
  const depot = await Depot.open(world, DEPOT, 'write');
  assert.deepEqual(
    node.simulation.recorder.problems().map((problem) => problem.code),
    ['damaged-config'],
  );
  await depot.close();
  assert.deepEqual(node.disk.bytesOf(`${DEPOT}/config`), node.disk.bytesOf(`${DEPOT}/config.spare`));
  for (const name of ['config', 'config.spare']) node.disk.corrupt(`${DEPOT}/${name}`, at, 1);
  await assert.rejects(Depot.open(world, DEPOT, 'write'), { code: 'damaged-config' });
  const check = createHash('sha256').update('depot 2 id 0').digest('hex');
  const config = JSON.stringify({ lowtide: 'depot', format: 2, id: 'id', createdAt: 0, check, more: true });
  await writeDurably(world.disk, `${DEPOT}/config`, Buffer.from(config));
  await assert.rejects(Depot.open(world, DEPOT, 'read'), { code: 'newer-format' });
});

test('a second writer is told who has the depot, a reader is let in, and a crash frees the lock', async () => {
  const node = newNode();
  const world = { ...node.boot(), pid: 4711 };
  await newDepot(world);
  const other = node.boot({ beside: true });
  const since = new Date(node.now).toISOString();
  await assert.rejects(Depot.open(other, DEPOT, 'write'), (error: Error & { code: string }) => {
    assert.equal(error.code, 'locked');
    assert.match(error.message, /process 4711/);
    assert.ok(error.message.includes(since));
    return true;
  });
  await (await Depot.open(other, DEPOT, 'read')).close();
  node.crash('lose');
  await (await Depot.open(node.boot(), DEPOT, 'write')).close();
});

test('a reader beside the writer sees what was flushed, and nothing else', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const [early, late] = [block('early'), block('late')];
  const writer = depot.writer('shared');
  await writer.add(early);
  await writer.flush();
  const reader = await Depot.open(node.boot({ beside: true }), DEPOT, 'read');
  await writer.add(late);
  assert.deepEqual(await reader.has(null, [early.id, late.id]), new Set([early.id]));
  sameBytes(await reader.readOne(early.id), early.bytes);
  await writer.flush();
  sameBytes(await reader.readOne(late.id), late.bytes);
  await depot.compactGroup('shared', () => true);
  await writer.finish();
  await depot.dropGroup('shared', new Set([late.id]));
  sameBytes(await reader.readOne(late.id), late.bytes);
  assert.throws(() => reader.writer('shared'), TypeError);
});

test('a reader makes the index if there is none', async () => {
  const node = newNode();
  const world = node.boot();
  const depot = await newDepot(world);
  const list = blocks(5);
  await put(depot, 'shared', list);
  await depot.close();
  await world.disk.remove(`${DEPOT}/index.db`);
  const reader = await Depot.open(world, DEPOT, 'read');
  assert.deepEqual(await reader.has(null, idsOf(list)), new Set(idsOf(list)));
});

test('has looks ids up in batches and only in the domains asked for', async () => {
  const { world, sql } = watchingSql(newNode().boot());
  const depot = await newDepot(world);
  const mine = blocks(20);
  const theirs = block('theirs', 1500, otherKeys);
  await put(depot, 'shared', [...mine, theirs]);
  const absent = Array.from({ length: 5000 }, (_, n) => fakeSnapshotId(`${n}`) as string as BlockId);
  sql.length = 0;
  const found = await depot.has(new Set([keys.id]), [...absent, ...idsOf(mine), theirs.id]);
  assert.deepEqual(found, new Set(idsOf(mine)));
  assert.equal(sql.length, Math.ceil(5021 / 1024));
  assert.deepEqual(await depot.has(new Set(), idsOf(mine)), new Set());
  assert.deepEqual(await depot.has(new Set([keys.id, otherKeys.id]), [theirs.id]), new Set([theirs.id]));
  assert.deepEqual(await depot.has(null, []), new Set());
});

test('read gives each block once, in pack order, neighbours in one disk read', async () => {
  const node = newNode();
  const world = node.boot();
  const depot = await newDepot(world);
  const list = blocks(24);
  await put(depot, 'shared', list);
  const ids = idsOf(list).sort();
  const order: BlockId[] = [];
  const reads = await readsOf(node, async () => {
    for (const read of await readAll(depot, [...ids, ...ids])) order.push(read.id);
  });
  assert.deepEqual(order, idsOf(list));
  const total = list.reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.ok(reads.length <= 2 * Math.ceil(total / world.limits.file_read_bytes), `${reads.length} reads`);
  assert.ok(Math.max(...reads) <= world.limits.file_read_bytes);
  const apart = [list[0]!, list[10]!];
  assert.deepEqual(
    await readsOf(node, () => readAll(depot, idsOf(apart))),
    apart.map(({ bytes }) => bytes.length),
    'what is far apart is not read over',
  );
});

test('read says which blocks are absent, and stops when asked', async () => {
  const depot = await newDepot(newNode().boot());
  const [one] = blocks(1);
  await put(depot, 'shared', [one!]);
  const absent = block('absent').id;
  const reads = await readAll(depot, [absent, one!.id]);
  assert.deepEqual(errorsOf(reads), new Map([[absent, 'block-unavailable']]));
  assert.deepEqual(readIds(reads), [one!.id]);
  await assert.rejects(depot.readOne(absent), { code: 'block-unavailable' });
  const stop = AbortSignal.abort();
  await assert.rejects(Array.fromAsync(depot.read([one!.id], stop)), { code: 'interrupted' });
});

test('a block source leaves out what it lacks', async () => {
  const depot = await newDepot(newNode().boot());
  const list = blocks(3);
  await put(depot, 'shared', list);
  const wanted = [...idsOf(list), block('absent').id];
  const got = await Array.fromAsync(
    depotSource(depot).fetch(fakeSnapshotId('s'), wanted, new AbortController().signal),
  );
  assert.deepEqual(idsOf(got), idsOf(list));
});

async function damagedAt(node: SimulatedNode, depot: Depot, id: BlockId, pack = 0): Promise<void> {
  const name = node.disk.paths().filter((path) => path.endsWith('.pack'))[pack]!;
  const at = Buffer.from(node.disk.bytesOf(name)).indexOf(Buffer.from(await depot.readOne(id)));
  node.disk.corrupt(name, at + 100, 0x10);
}

/** Five blocks, of which the third is damaged. */
async function withDamage() {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const list = blocks(5);
  await put(depot, 'shared', list);
  const bad = list[2]!.id;
  await damagedAt(node, depot, bad);
  return { node, depot, list, bad };
}

test('a damaged block is quarantined and told once, its neighbours are read, and has answers no', async () => {
  const { node, depot, list, bad } = await withDamage();
  assert.deepEqual(errorsOf(await readAll(depot, idsOf(list))), new Map([[bad, 'damaged-block']]));
  assert.deepEqual(errorsOf(await readAll(depot, idsOf(list))), new Map([[bad, 'damaged-block']]));
  assert.equal(node.simulation.recorder.events('alarm').length, 1);
  assert.deepEqual(await depot.has(null, idsOf(list)), new Set(idsOf(list).filter((id) => id !== bad)));
  await depot.close();
  const again = await Depot.open(node.boot(), DEPOT, 'write');
  assert.equal((await again.has(null, [bad])).size, 0, 'quarantine is durable');
  await put(again, 'repair', [list[2]!]);
  assert.equal((await again.has(null, [bad])).size, 1);
  sameBytes(await again.readOne(bad), list[2]!.bytes);
});

test('who opens blocks anyway gets them without a look at their bytes, and the next who reads them looks', async () => {
  const { depot, list, bad } = await withDamage();
  const got = await Array.fromAsync(depot.readUnchecked([...idsOf(list), block('absent').id]));
  assert.deepEqual(readIds(got), idsOf(list).toSorted());
  assert.deepEqual(errorsOf(got), new Map([[block('absent').id, 'block-unavailable']]));
  assert.equal((await depot.has(null, [bad])).size, 1);
  assert.deepEqual(errorsOf(await readAll(depot, [bad])), new Map([[bad, 'damaged-block']]));
  assert.equal((await depot.has(null, [bad])).size, 0);
});

test('a block that is damaged in one pack is read from another', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const [one] = blocks(1);
  await put(depot, 'run-1', [one!]);
  await put(depot, 'run-2', [one!]);
  await damagedAt(node, depot, one!.id);
  sameBytes(await depot.readOne(one!.id), one!.bytes);
  assert.equal((await depot.has(null, [one!.id])).size, 1);
});

test('a sector that cannot be read costs only its block, and not for ever', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const list = blocks(4);
  await put(depot, 'shared', list);
  const fault = node.faults.inject({ kind: 'disk.read', skip: 1, times: 1 });
  const whole = node.faults.inject({ kind: 'disk.read', times: 1 });
  const reads = await readAll(depot, idsOf(list));
  fault.lift();
  whole.lift();
  assert.equal(readIds(reads).length, 3);
  assert.deepEqual([...errorsOf(reads).values()], ['disk-failed']);
  assert.equal(readIds(await readAll(depot, idsOf(list))).length, 4);
  assert.equal((await depot.has(null, idsOf(list))).size, 4);
});
