import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertIsTree, noise, type SimulatedRig, simulatedRig } from '../../test/backup/rig.ts';
import { chunkIndexPath } from './chunks/known-chunks.ts';
import type { BackupMode, BackupPlan, BackupResult } from './plan.ts';

const MINUTE = { for: 60_000 };
const LARGE = 120_000;

/** Bytes of data blocks that one run has stored. */
function dataStored({ rig }: SimulatedRig, run: number): number {
  const { plan } = rig.taken[run]!;
  return rig.added.reduce(
    (sum, { group, bytes }) => (group === plan.dataGroup ? sum + bytes.length : sum),
    0,
  );
}

async function takeLater(setup: SimulatedRig, changes: Partial<BackupPlan>): Promise<BackupResult> {
  await setup.simulation.run(MINUTE);
  const result = await setup.rig.take(changes);
  await assertIsTree(setup, result.signed);
  return result;
}

/** A large and a small file are backed up; then the large one changes in the middle, and both get a copy. */
async function afterChange(spool: BackupMode): Promise<SimulatedRig> {
  const setup = await simulatedRig();
  setup.node.files.write('/home/large', noise('large', LARGE));
  setup.node.files.write('/home/small', noise('small', 700));
  await takeLater(setup, { spool });
  setup.node.files.writeAt('/home/large', LARGE / 2, 'changed');
  setup.node.files.write('/home/copy/large', noise('large', LARGE));
  setup.node.files.write('/home/copy/small', noise('small', 700));
  await takeLater(setup, { spool });
  return setup;
}

test('files: a changed file is in the spool whole, and what is known of it is the same block as before', async () => {
  const setup = await afterChange('files');
  await setup.rig.assertBaseRule();
  const { signed, plan } = setup.rig.taken[1]!;
  const stored = new Set(setup.rig.addedBy(plan).map(({ id }) => id));
  const entries = await setup.rig.entries(signed);
  for (const path of ['/home/large', '/home/copy/large']) {
    for (const extent of entries.get(path)!.extents)
      assert.ok(extent.kind === 'data' && stored.has(extent.block));
  }
  const before = new Set(await setup.rig.refs(setup.rig.taken[0]!.signed));
  const again = [...stored].filter((id) => before.has(id));
  assert.ok(again.length > 10, 'chunks that did not change seal to the block that the center has');
  // The small file is in the base: a copy of it costs nothing.
  const small = entries.get('/home/copy/small')!.extents[0]!;
  assert.ok(small.kind === 'data' && !stored.has(small.block) && before.has(small.block));
});

test('difference: only what is new is stored', async () => {
  const setup = await afterChange('difference');
  await setup.rig.assertBaseRule();
  assert.ok(dataStored(setup, 0) > LARGE);
  assert.ok(dataStored(setup, 1) < 3 * setup.node.limits.chunk_bytes_max, String(dataStored(setup, 1)));
});

test('depot: only what the depot does not have is stored, whoever stored it', async () => {
  const setup = await afterChange('depot');
  assert.ok(dataStored(setup, 1) < 3 * setup.node.limits.chunk_bytes_max);
  setup.node.files.write('/etc/large', noise('large', LARGE));
  setup.node.files.write('/etc/small', noise('small', 700));
  const other = {
    job: 'local/etc',
    base: null,
    previous: null,
    roots: ['etc' as never],
    spool: 'depot',
  } as const;
  await setup.simulation.run(MINUTE);
  await setup.rig.take(other);
  assert.equal(dataStored(setup, 2), 0);
  await setup.rig.take(other);
  assert.equal(setup.rig.addedBy(setup.rig.taken[3]!.plan).length, 0, 'the same tree: nothing at all');
  assert.deepEqual(setup.rig.taken[3]!.signed.manifest.refs, setup.rig.taken[2]!.signed.manifest.refs);
});

test('depot: a chunk whose block was lost is stored again', async () => {
  const setup = await simulatedRig();
  setup.node.files.write('/home/a', noise('a', LARGE));
  setup.node.files.write('/home/b', noise('b', 700));
  await takeLater(setup, { spool: 'depot' });
  await setup.rig.depot.dropGroup('run-1');
  setup.node.files.touch('/home/a');
  setup.node.files.touch('/home/b');
  await takeLater(setup, { spool: 'depot' });
  assert.ok(dataStored(setup, 1) > LARGE);
});

for (const spool of ['files', 'difference', 'depot'] as const) {
  const path = chunkIndexPath('/spool', 'local/home', spool);
  const change = async (setup: SimulatedRig): Promise<void> => {
    setup.node.files.writeAt('/home/large', 50_000, 'changed');
    setup.node.files.touch('/home/small');
    await takeLater(setup, { spool });
    if (spool !== 'depot') await setup.rig.assertBaseRule();
  };
  const make = async (): Promise<SimulatedRig> => {
    const setup = await simulatedRig();
    setup.node.files.write('/home/large', noise('large', LARGE));
    for (let i = 0; i < 30; i++) setup.node.files.write(`/home/${i}`, noise(i, 200));
    setup.node.files.write('/home/small', noise('small', 700));
    await takeLater(setup, { spool });
    return setup;
  };

  test(`${spool}: the chunk index may be deleted, damaged or old: the same blocks are stored`, async () => {
    const whole = await make();
    await change(whole);
    const expected = whole.rig.addedBy(whole.rig.taken[1]!.plan).map(({ id }) => id);
    for (const spoil of ['delete', 'damage', 'old'] as const) {
      const setup = await make();
      const world = setup.rig.world;
      if (spoil !== 'old') await world.disk.remove(path);
      if (spoil === 'damage') {
        const file = await world.disk.create(path);
        await file.write(Buffer.alloc(9000, 'damage'));
        await file.close();
      }
      if (spoil === 'old') {
        const connection = await world.databases.open(path);
        await connection.execute('DELETE FROM covered', []);
        await connection.execute('DELETE FROM chunks', []);
        await connection.close();
      }
      await change(setup);
      assert.deepEqual(
        setup.rig.addedBy(setup.rig.taken[1]!.plan).map(({ id }) => id),
        expected,
        spoil,
      );
    }
  });

  test(`${spool}: an index that fails amid the run costs deduplication, not the backup`, async () => {
    const setup = await make();
    setup.node.faults.inject({ kind: 'database.commit', path: path, times: Infinity, error: 'EIO' });
    setup.node.files.write('/home/new', noise('new', 700));
    await change(setup);
    assert.ok(
      setup.simulation.recorder
        .problems()
        .some(({ severity, path: at }) => severity === 'note' && at === path),
    );
    await setup.rig.depot.close();
  });
}

test('files: an index row of a block that left the base is no answer', async () => {
  const setup = await simulatedRig();
  setup.node.files.write('/home/a', noise('a', 700));
  setup.node.files.write('/home/b', noise('b', 5000));
  await takeLater(setup, {});
  setup.node.files.remove('/home/a');
  await takeLater(setup, {});
  const gone = await setup.rig.refs(setup.rig.taken[1]!.signed);
  setup.node.files.write('/home/c', noise('a', 700));
  await takeLater(setup, {});
  await setup.rig.assertBaseRule();
  const extent = (await setup.rig.entries(setup.rig.last!)).get('/home/c')!.extents[0]!;
  assert.ok(extent.kind === 'data' && !gone.includes(extent.block));
});

test('a crash after the index was written and before the manifest: the next run leans on nothing that is not there', async () => {
  const setup = await simulatedRig();
  const { node, rig } = setup;
  node.files.write('/home/a', noise('a', 700));
  await takeLater(setup, { spool: 'difference' });
  node.files.write('/home/b', noise('b', 700));
  node.files.write('/home/c', noise('c', 50_000));
  await setup.simulation.run(MINUTE);
  const putManifest = rig.depot.putManifest.bind(rig.depot);
  rig.depot.putManifest = async () => {
    throw new Error('the power went');
  };
  await assert.rejects(rig.take({ spool: 'difference' }), /the power went/);
  rig.depot.putManifest = putManifest;
  await rig.depot.dropGroup('run-2');
  await rig.depot.dropGroup('meta-2');
  rig.added.length = 0;
  await takeLater(setup, { spool: 'difference' });
  await rig.assertBaseRule();
});

test('the base may be changed, and the mode too, from run to run', async () => {
  const setup = await simulatedRig();
  const modes: BackupMode[] = ['files', 'difference', 'files', 'difference', 'files'];
  for (const [at, spool] of modes.entries()) {
    setup.node.files.write('/home/large', noise('large', LARGE + at));
    setup.node.files.write(`/home/${at}`, noise('same', 400 + at));
    setup.node.files.write(`/home/again${at}`, noise('same', 400));
    await takeLater(setup, at === 3 ? { spool, base: null } : { spool });
    await setup.rig.assertBaseRule();
  }
});
