import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noise, simulatedRig } from '../../test/backup/rig.ts';
import { chunkDigest } from '../format/domain-keys.ts';
import { SEAL_BYTES } from '../format/block.ts';
import { BlockCopies } from './blocks/block-copies.ts';
import { NewBlocks } from './blocks/new-blocks.ts';
import { Sealer } from './blocks/sealer.ts';
import { SlabPool } from './read/slabs.ts';

test('P7: blocks under way are bounded: sealed in the memory of a few, waiting in that of two groups', async () => {
  const { rig } = await simulatedRig({ lanes: 3 });
  const { limits } = rig.world;
  const blocks = new NewBlocks(rig.depot.writer('run'), null, new BlockCopies(rig.world.disk, limits));
  const sealer = new Sealer(rig.world, rig.keys, 1, (_job, block) => blocks.add(block));
  let released = 0;
  for (let block = 0; block < 500; block++) {
    const payload = noise(block, block % 3 === 0 ? limits.chunk_bytes_max : 900);
    const digest = chunkDigest(rig.keys, payload);
    const chunks = [{ digest, offset: 0, length: payload.length }];
    await sealer.submit({ block, payload, chunk: digest, chunks, release: () => released++ });
  }
  await sealer.drain();
  assert.equal(released, 500);
  const underWay = rig.world.work.lanes + 2;
  const chunk = limits.chunk_bytes_max + SEAL_BYTES;
  const run = limits.block_plain_bytes + SEAL_BYTES;
  assert.ok(sealer.heldBytes <= underWay * (chunk + run), String(sealer.heldBytes));
  assert.ok(blocks.storedBytes > 2_000_000);
  const segment = limits.chunk_bytes_max + limits.block_plain_bytes;
  const groups = 2 * (limits.flush_bytes + chunk);
  assert.ok(blocks.heldBytes <= 2 * groups + 2 * segment, String(blocks.heldBytes));
});

test('P7: who wants a slab when all are taken waits for one', async () => {
  const pool = new SlabPool(100, 2);
  const [first, second] = [await pool.take(), await pool.take()];
  let third: unknown = null;
  const waiting = pool.take().then((slab) => (third = slab));
  await Promise.resolve();
  assert.equal(third, null);
  second.release();
  await waiting;
  assert.equal(third, second);
  first.release();
});
