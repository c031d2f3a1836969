import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockIdOf } from '../format/block.ts';
import {
  block,
  blocks,
  DEPOT,
  errorsOf,
  idsOf,
  keys,
  newDepot,
  newNode,
  otherKeys,
  put,
  readAll,
  readIds,
  snapshotOf,
} from '../../test/support/depot-kit.ts';
import { Depot, depotSource } from './depot.ts';

const code = (expected: string) => ({ code: expected });

test('what was flushed is read, counted and found again after reopening', async () => {
  const node = newNode();
  const world = node.boot();
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
  await again.close();
});
void block;
void keys;
void otherKeys;
void snapshotOf;
void depotSource;
void code;
void errorsOf;
