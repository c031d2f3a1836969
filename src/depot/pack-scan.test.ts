import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { blockIdOf, sealBlock, type SealedBlock } from '../format/block.ts';
import type { BlockId } from '../model/ids.ts';
import type { SimulatedNode } from '../sim/node.ts';
import type { World } from '../world/ports.ts';
import {
  block,
  blocks,
  DEPOT,
  idsOf,
  keys,
  newDepot,
  newNode,
  otherKeys,
  put,
  readAll,
  readIds,
} from '../../test/support/depot-kit.ts';
import { Depot } from './depot.ts';
import { encodeTrailer, PACK_HEADER_BYTES, type PackEntry } from './pack-format.ts';
import { readPack, readTrailer, scanPack } from './pack-scan.ts';
import { DirectoryPackStore } from './pack-store.ts';

const NAME = 'shared.00000001.pack';
const PATH = `${DEPOT}/packs/${NAME}`;

/** A depot with one complete pack of these blocks, closed; and its store. */
async function onePack(
  list: readonly SealedBlock[],
): Promise<{ node: SimulatedNode; world: World; store: DirectoryPackStore }> {
  const node = newNode();
  const world = node.boot();
  const depot = await newDepot(world);
  await put(depot, 'shared', list);
  await depot.close();
  return { node, world, store: new DirectoryPackStore(world.disk, `${DEPOT}/packs`) };
}

const MAX_BLOCK = 1 << 18;
const sizeOf = (list: readonly SealedBlock[]): number =>
  list.reduce((sum, { bytes }) => sum + bytes.length, 0);

/** Replaces the pack's bytes. */
async function rewrite(world: World, bytes: Uint8Array): Promise<void> {
  await world.disk.remove(PATH);
  const file = await world.disk.create(PATH);
  await file.write(bytes);
  await file.close();
}

test('trailer and scan agree about a pack, and both with what was put', async () => {
  const list = [...blocks(12), block('other', 300, otherKeys), block('tiny', 0)];
  const { store } = await onePack(list);
  const entries = (await readTrailer(store, NAME))!;
  assert.deepEqual(entries, await scanPack(store, NAME, MAX_BLOCK));
  assert.deepEqual(idsOf(entries), idsOf(list));
  assert.equal(entries[0]!.offset, PACK_HEADER_BYTES);
  assert.deepEqual(
    entries.map(({ length, domain, type }) => ({ length, domain, type })),
    list.map(({ bytes }, at) => ({
      length: bytes.length,
      domain: at === 12 ? otherKeys.id : keys.id,
      type: 'data',
    })),
  );
});

test('a pack cut anywhere gives every block that is whole in it', async () => {
  const list = blocks(6, 'cut', 400);
  const { node, world, store } = await onePack(list);
  const bytes = node.disk.bytesOf(PATH);
  for (let size = 0; size <= bytes.length; size += 97) {
    await rewrite(world, bytes.subarray(0, size));
    const { entries } = await readPack(store, NAME, MAX_BLOCK);
    const whole = list.filter((_, at) => PACK_HEADER_BYTES + (at + 1) * list[0]!.bytes.length <= size);
    assert.deepEqual(idsOf(entries), idsOf(whole), `${size} bytes`);
    await store.close();
  }
});

test('damage in a pack without a trailer hides only the block that it hits', async () => {
  const list = blocks(6, 'hit', 400);
  const { node, world, store } = await onePack(list);
  const whole = node.disk.bytesOf(PATH).slice(0, PACK_HEADER_BYTES + 6 * list[0]!.bytes.length);
  const length = list[0]!.bytes.length;
  for (let at = 0; at < whole.length; at += 11) {
    const bytes = Uint8Array.from(whole);
    bytes[at] = bytes[at]! ^ 0x5a;
    await rewrite(world, bytes);
    const found = new Set(idsOf(await scanPack(store, NAME, MAX_BLOCK)));
    const hit = Math.floor((at - PACK_HEADER_BYTES) / length);
    const missed = list.filter(({ id }) => !found.has(id));
    assert.deepEqual(idsOf(missed), at < PACK_HEADER_BYTES ? [] : [list[hit]!.id], `byte ${at}`);
    await store.close();
  }
});

test('what looks like a block inside of a damaged one counts only if it leads somewhere', async () => {
  const inner = block('inner', 200);
  const nowhere = Buffer.concat([inner.bytes.subarray(0, 64), Buffer.alloc(400)]);
  const payloads = [nowhere, Buffer.concat([Buffer.alloc(100), inner.bytes])];
  const outer = payloads.map((payload) => sealBlock(keys, payload, { type: 'data', level: 0 }));
  const plain = outer.map(({ bytes }, at) => {
    // As if the payload were not sealed: whoever sends a block may choose all of its bytes.
    const bare = Buffer.from(bytes);
    bare.set(payloads[at]!, 64);
    return { id: blockIdOf(bare), bytes: bare };
  });
  const list = [block('before'), ...plain, block('after')];
  const { node, world, store } = await onePack(list);
  const whole = node.disk.bytesOf(PATH);
  const bytes = Buffer.from(whole.subarray(0, PACK_HEADER_BYTES + sizeOf(list)));
  for (const { id } of plain) {
    const at = bytes.indexOf(plain.find((one) => one.id === id)!.bytes);
    bytes[at] = 0;
  }
  await rewrite(world, bytes);
  assert.deepEqual(idsOf(await scanPack(store, NAME, MAX_BLOCK)), idsOf([block('before'), block('after')]));
});

test('every bit of header and trailer is covered by the hash in the trailer', async () => {
  const list = blocks(3);
  const { node, store } = await onePack(list);
  const size = node.disk.bytesOf(PATH).length;
  const blocksEnd = PACK_HEADER_BYTES + sizeOf(list);
  for (let at = 0; at < size; at++) {
    if (at >= PACK_HEADER_BYTES && at < blocksEnd) continue;
    node.disk.corrupt(PATH, at, 1);
    assert.equal(await readTrailer(store, NAME), null, `byte ${at}`);
    const { entries, trailer } = await readPack(store, NAME, MAX_BLOCK);
    assert.ok(!trailer);
    assert.deepEqual(idsOf(entries), idsOf(list));
    node.disk.corrupt(PATH, at, 1);
  }
});

test('a block that ends like a trailer cannot put false ids into the index', async () => {
  const victim = createHash('sha256').update('somebody else s block').digest('hex') as BlockId;
  const first = block('first', 300);
  // The writer of a hostile block knows where it will lie and all of the format, but not the pack's salt.
  const start = PACK_HEADER_BYTES + first.bytes.length;
  const lie = (length: number): PackEntry[] => [
    { id: first.id, offset: PACK_HEADER_BYTES, length: first.bytes.length, domain: keys.id, type: 'data' },
    { id: victim, offset: start, length, domain: otherKeys.id, type: 'data' },
  ];
  const trailer = encodeTrailer(Buffer.alloc(PACK_HEADER_BYTES), lie(500));
  const hostile = sealBlock(keys, Buffer.alloc(600), { type: 'data', level: 0 });
  const bytes = Buffer.concat([hostile.bytes.subarray(0, 500), trailer]);
  bytes.writeUInt32BE(bytes.length - 64, 28);
  bytes.writeUInt32BE(bytes.length - 64 - 20, 24);
  const id = createHash('sha256').update(bytes).digest('hex') as BlockId;
  const { node, world } = await onePack([first, { id, bytes }]);
  const torn = node.disk.bytesOf(PATH).slice(0, start + bytes.length);
  await rewrite(world, torn);
  await world.disk.remove(`${DEPOT}/index.db`);
  const depot = await Depot.open(world, DEPOT, 'write');
  assert.deepEqual(await depot.has(null, [victim, id, first.id]), new Set([id, first.id]));
});

test('an index made anew says what the live one said', async () => {
  const node = newNode();
  const world = node.boot();
  const depot = await newDepot(world);
  await put(depot, 'run-1', blocks(60, 'one'));
  await put(depot, 'run-2', [...blocks(20, 'two'), ...blocks(5, 'one'), block('foreign', 900, otherKeys)]);
  const open = depot.writer('shared');
  for (const one of blocks(3, 'open')) await open.add(one);
  await open.flush();
  const abandoned = depot.writer('shared');
  await abandoned.add(block('abandoned'));
  await abandoned.flush();
  await abandoned.abandon();
  await depot.dropGroup('run-2', new Set([block('two3').id]));
  const dump = async (): Promise<unknown> => {
    const connection = await world.databases.openReadOnly(`${DEPOT}/index.db`);
    const rows = async (text: string) => (await connection.execute(text, [])).rows;
    const packs = await rows('SELECT key, name, pack_group, state, bytes, blocks FROM packs ORDER BY key');
    const places = await rows(
      'SELECT hex(id) AS id, pack, hex(domain) AS domain, offset, length, type, state FROM blocks ORDER BY id, pack',
    );
    await connection.close();
    return { packs, places };
  };
  const live = await dump();
  const report = await depot.rebuildIndex();
  assert.deepEqual(await dump(), live, 'beside an open writer');
  assert.equal(report.scanned, 1);
  await open.finish();
  const complete = await dump();
  await depot.close();
  await world.disk.remove(`${DEPOT}/index.db`);
  const again = await Depot.open(world, DEPOT, 'write');
  assert.deepEqual(await dump(), complete, 'from nothing');
  await again.rebuildIndex();
  assert.deepEqual(await dump(), complete);
  const fresh = again.writer('shared');
  await fresh.add(block('later'));
  await fresh.finish();
  const names = node.disk.paths().filter((path) => path.endsWith('.pack'));
  assert.equal(new Set(names).size, (await again.usage()).packs, 'no pack got the name of another');
});

test('what is known to be damaged stays quarantined when the index is made anew', async () => {
  const { node, world } = await onePack(blocks(3));
  const bad = block('b1');
  const at = Buffer.from(node.disk.bytesOf(PATH)).indexOf(Buffer.from(bad.bytes));
  node.disk.corrupt(PATH, at + 100, 1);
  const depot = await Depot.open(world, DEPOT, 'write');
  assert.equal(readIds(await readAll(depot, idsOf(blocks(3)))).length, 2);
  await depot.rebuildIndex();
  assert.deepEqual(await depot.has(null, idsOf(blocks(3))), new Set(idsOf([block('b0'), block('b2')])));
});

test('packs that were copied in are taken in, whatever their number', async () => {
  const source = await onePack(blocks(4, 'copied'));
  const { node, world } = await onePack(blocks(4, 'own'));
  const put = async (name: string): Promise<void> => {
    const file = await world.disk.create(`${DEPOT}/packs/${name}`);
    await file.write(source.node.disk.bytesOf(PATH));
    await file.close();
  };
  await put('relay.00000001.pack');
  await put('relay.00000009.pack');
  const depot = await Depot.open(world, DEPOT, 'write');
  const ids = idsOf([...blocks(4, 'copied'), ...blocks(4, 'own')]);
  assert.equal(readIds(await readAll(depot, ids)).length, 8);
  assert.equal((await depot.usage('relay')).packs, 2);
  assert.deepEqual(
    node.simulation.recorder.problems().map(({ severity, code }) => `${severity} ${code}`),
    ['note damaged-pack'],
  );
  await depot.dropGroup('shared');
  assert.equal(readIds(await readAll(depot, ids)).length, 4);
  assert.deepEqual(await Array.fromAsync(depot.verify({ data: true })), []);
});

test('a pack that cannot be read keeps nobody from the others', async () => {
  const { node, world } = await onePack(blocks(4));
  await world.disk.remove(`${DEPOT}/index.db`);
  const file = await world.disk.create(`${DEPOT}/packs/shared.00000002.pack`);
  await file.write(Buffer.alloc(5000));
  await file.close();
  node.faults.inject({ kind: 'disk.read', path: '00000002', times: Infinity });
  const depot = await Depot.open(world, DEPOT, 'write');
  assert.equal((await depot.has(null, idsOf(blocks(4)))).size, 4);
  assert.equal(node.simulation.recorder.events('alarm').length, 1);
});
