import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { assertIsTree, noise, type SimulatedRig, simulatedRig } from '../../../test/backup/rig.ts';
import type { BlockId } from '../../model/ids.ts';
import { BlockTable, IN_REFS } from './block-table.ts';
import { sparseBlocksPath } from '../chunks/known-chunks.ts';
import { LiveBytes, readSparseBlocks, writeSparseBlocks } from './sparse-blocks.ts';

const MINUTE = { for: 60_000 };
const idOf = (name: string): BlockId => hash('sha256', name) as BlockId;
const PATH = sparseBlocksPath('/spool', 'local/home');

/** Many small files, backed up together; then most are removed. */
async function afterRemoval(): Promise<SimulatedRig> {
  const setup = await simulatedRig();
  for (let i = 100; i < 180; i++) setup.node.files.write(`/home/${i}`, noise(i, 150));
  setup.node.files.write('/home/large', noise('large', 20_000));
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  for (let i = 100; i < 180; i++) if (i % 10 !== 0) setup.node.files.remove(`/home/${i}`);
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  return setup;
}

async function takeAgain(setup: SimulatedRig): Promise<readonly string[]> {
  await setup.simulation.run(MINUTE);
  setup.rig.opened.length = 0;
  const { signed, counts } = await setup.rig.take();
  await assertIsTree(setup, signed);
  await setup.rig.assertBaseRule();
  assert.equal(counts.problems, 0);
  return setup.rig.opened;
}

const LEFT = Array.from({ length: 8 }, (_, at) => `/home/${100 + at * 10}`);

test('what is left in blocks that are mostly dead is stored again, once', async () => {
  const setup = await afterRemoval();
  const before = await setup.rig.refs(setup.rig.last!);
  // One that was left may be in a block of its own, which is alive.
  const moved = (await takeAgain(setup)).toSorted();
  assert.ok(moved.length >= 6 && moved.every((path) => LEFT.includes(path)), moved.join(' '));
  const after = await setup.rig.refs(setup.rig.last!);
  const entries = await setup.rig.entries(setup.rig.last!);
  for (const path of moved) {
    const extent = entries.get(path)!.extents[0]!;
    assert.ok(extent.kind === 'data' && !before.includes(extent.block));
  }
  assert.ok(after.length < before.length);
  assert.deepEqual(await takeAgain(setup), []);
});

test('a file that cannot be read for that is carried over as it was', async () => {
  const setup = await afterRemoval();
  setup.node.faults.inject({ kind: 'files.open', path: '/home/130', error: 'EACCES' });
  setup.node.faults.inject({ kind: 'files.open', path: '/home/150', error: 'ENOENT' });
  await takeAgain(setup);
  assert.deepEqual(setup.simulation.recorder.problems(), []);
});

test('without the list, or with a damaged one, nothing is moved', async () => {
  for (const spoil of ['remove', 'damage'] as const) {
    const setup = await afterRemoval();
    const { disk } = setup.rig.world;
    if (spoil === 'remove') await disk.remove(PATH);
    else {
      const file = await disk.openAppend(PATH);
      await file.write(Buffer.alloc(32));
      await file.close();
    }
    assert.deepEqual(await takeAgain(setup), []);
  }
});

test('the list is of one tree, and gone when it is empty', async () => {
  const setup = await simulatedRig();
  const { world } = setup.rig;
  await writeSparseBlocks(world, PATH, idOf('tree'), [idOf('a'), idOf('b')]);
  assert.deepEqual(await readSparseBlocks(world, PATH, idOf('tree')), [idOf('a'), idOf('b')]);
  assert.deepEqual(await readSparseBlocks(world, PATH, idOf('other')), []);
  await writeSparseBlocks(world, PATH, idOf('tree'), []);
  assert.equal(await world.disk.stat(PATH), null);
  assert.deepEqual(await readSparseBlocks(world, PATH, idOf('tree')), []);
});

test('a block is sparse if less than half is used and a small file is in it', () => {
  const table = new BlockTable();
  const live = new LiveBytes(1000);
  const use = (
    name: string,
    sealed: number,
    parts: readonly [number, number][],
    isWholeFile = true,
  ): void => {
    const number = table.add(idOf(name), sealed, IN_REFS);
    for (const [offset, length] of parts) {
      live.count(number, { offset, length }, isWholeFile);
    }
  };
  use('half', 1084, [[0, 500]]);
  use('less', 1084, [[0, 499]]);
  use('compressed', 200, [
    [0, 400],
    [3000, 200],
  ]);
  use('tail of a large file', 1084, [[0, 10]], false);
  use('large', 5000, [[0, 1000]]);
  use('whole and tiny', 84 + 17, [[0, 17]]);
  assert.deepEqual(live.sparse(table), [idOf('less'), idOf('compressed')]);
});
