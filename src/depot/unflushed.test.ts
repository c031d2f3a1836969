import assert from 'node:assert/strict';
import { test } from 'node:test';
import { block, newDepot, newNode } from '../../test/support/depot-kit.ts';

test('forty writers together hold no more than a few do, however slowly each of them fills', async () => {
  const world = newNode().boot();
  const { flush_bytes, unflushed_bytes } = world.limits;
  const depot = await newDepot(world);
  const writers = Array.from({ length: 40 }, () => depot.writer('shared'));
  let [held, most, added] = [0, 0, 0];
  for (let round = 0; round < 20; round++) {
    for (const [at, writer] of writers.entries()) {
      const one = block(`${round}-${at}`);
      held += one.bytes.length;
      added += one.bytes.length;
      await writer.add(one, () => (held -= one.bytes.length));
      most = Math.max(most, held);
    }
  }
  for (const writer of writers) await writer.finish();
  assert.equal(held, 0);
  assert.ok(added > 10 * unflushed_bytes);
  // What is filled and what is being made durable, and the block of each that goes beyond its share.
  assert.ok(most <= 2 * (unflushed_bytes + 40 * 1600), `${most} bytes`);
  assert.ok(most < (40 * flush_bytes) / 2);
});
