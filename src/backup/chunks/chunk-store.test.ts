import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noise, type SimulatedRig, simulatedRig } from '../../../test/backup/rig.ts';
import { chunkDigest } from '../../format/domain-keys.ts';
import { BlockCopies } from '../blocks/block-copies.ts';
import { BlockTable } from '../blocks/block-table.ts';
import { ChunkStore, type DataExtent } from './chunk-store.ts';
import { KnownChunks } from './known-chunks.ts';
import { NewBlocks } from '../blocks/new-blocks.ts';

interface Parts {
  readonly table: BlockTable;
  readonly store: ChunkStore;
}

function make(setup: SimulatedRig, quotaBytes: number | null, rememberedMax?: number): Parts {
  const { rig } = setup;
  const plan = rig.plan({ quotaBytes });
  const table = new BlockTable();
  const known = new KnownChunks(rig.world, rig.depot, plan, null, table);
  const writer = new NewBlocks(
    rig.depot.writer(plan.dataGroup),
    null,
    new BlockCopies(rig.world.disk, rig.world.limits),
  );
  return { table, store: new ChunkStore(rig.world, plan, { known, table, writer }, rememberedMax) };
}

async function put({ rig }: SimulatedRig, store: ChunkStore, bytes: Uint8Array): Promise<DataExtent> {
  const digest = chunkDigest(rig.keys, bytes);
  const known = await store.findKnown([{ digest, isSmallFile: true }]);
  const extent =
    store.place(digest, bytes.length, known) ?? store.store(digest, bytes, () => () => undefined);
  await store.settle();
  return extent;
}

/** The same block and offset, however it is said. */
function placeOf({ store, table }: Parts, { runBlock, block, offset }: DataExtent): string {
  return `${table.idOf(runBlock < 0 ? block : store.blocks.numberOf(runBlock))} ${offset}`;
}

test('chunks that are no longer remembered in memory are found on disk, at the same place', async () => {
  const setup = await simulatedRig();
  const parts = make(setup, null, 10);
  const first: DataExtent[] = [];
  for (let i = 0; i < 60; i++) {
    await parts.store.tidy();
    first.push(await put(setup, parts.store, noise(i, 50 + (i % 3) * 700)));
  }
  const again: DataExtent[] = [];
  for (let i = 0; i < 60; i++) {
    await parts.store.tidy();
    again.push(await put(setup, parts.store, noise(i, 50 + (i % 3) * 700)));
  }
  await parts.store.finish();
  assert.deepEqual(
    again.map((extent) => placeOf(parts, extent)),
    first.map((extent) => placeOf(parts, extent)),
  );
  assert.ok(again.filter(({ runBlock }) => runBlock < 0).length > 30);
  const stored = setup.rig.added.map(({ id }) => id);
  assert.equal(new Set(stored).size, stored.length);
});

test('the quota is used up by sealed bytes, not before the first chunk', async () => {
  const setup = await simulatedRig();
  const { store } = make(setup, 10_000);
  const compressible = new Uint8Array(3000);
  let stored = 0;
  while (!(await store.isFull())) {
    compressible.fill(++stored % 251).set([stored >> 8, stored & 255]);
    await put(setup, store, compressible.slice());
  }
  assert.ok(stored > 50, `${stored} blocks of 3,000 equal bytes`);
  const bytes = setup.rig.added.reduce((sum, block) => sum + block.bytes.length, 0);
  assert.ok(bytes >= 10_000 - 200 && bytes < 10_400, String(bytes));

  const none = make(setup, 0).store;
  assert.equal(await none.isFull(), false);
  await put(setup, none, noise('x', 10));
  assert.equal(await none.isFull(), true);
});
