import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertIsTree, noise, type SimulatedRig, simulatedRig } from '../../test/backup/rig.ts';
import { openManifestDetails, type SignedManifest } from '../format/manifest.ts';
import type { Entry } from '../model/entries.ts';
import type { BackupMode } from './plan.ts';

const MINUTE = { for: 60_000 };

function fill({ node }: SimulatedRig): void {
  node.files.write('/home/a/large', noise('large', 150_000));
  for (let i = 0; i < 60; i++) node.files.write(`/home/b/${i}`, noise(i, 30 + i * 20));
  node.files.write('/home/c', new Uint8Array(60_000).fill(7));
  node.files.link('/home/d', '/home/a/large');
  node.files.writeAt('/home/e', 90_000, noise('end of e', 20_000));
  node.files.write('/home/f', noise('large', 150_000).slice(0, 80_000));
  node.files.write('/home/z', noise('z', 900));
}

function untilOf(
  { rig }: SimulatedRig,
  signed: SignedManifest,
): ReturnType<typeof openManifestDetails>['partialUntil'] {
  return openManifestDetails(rig.keyStore, signed.manifest).partialUntil;
}

/** Extents without the block: what depends on the content alone. */
function cutsOf(entry: Entry): unknown[] {
  return entry.extents.map((extent) =>
    extent.kind === 'data' ? [extent.kind, extent.length, extent.digest] : extent,
  );
}

const quotas: Record<BackupMode, readonly number[]> = {
  files: [3000, 40_000, 200_000],
  difference: [7000, 200_000],
  depot: [7000, 200_000],
};

for (const [spool, some] of Object.entries(quotas) as [BackupMode, readonly number[]][]) {
  for (const quotaBytes of some) {
    test(`${spool}: a first backup passes through a quota of ${quotaBytes} and ends like the direct one`, async () => {
      const direct = await simulatedRig();
      fill(direct);
      await direct.simulation.run(MINUTE);
      const whole = (await direct.rig.take({ spool })).signed;

      const setup = await simulatedRig();
      fill(setup);
      await setup.simulation.run(MINUTE);
      let before = { path: '', offset: -1 };
      for (let run = 1; ; run++) {
        const result = await setup.rig.take({ spool, quotaBytes });
        const until = untilOf(setup, result.signed);
        await assertIsTree(setup, result.signed, until);
        if (spool !== 'depot') await setup.rig.assertBaseRule();
        assert.equal(result.signed.manifest.complete, result.complete);
        assert.equal(until === null, result.complete);
        if (until === null) break;
        const further =
          until.path > before.path || (until.path === before.path && until.offset > before.offset);
        assert.ok(further, 'every run gets further');
        before = until;
        assert.ok(run < 200);
      }
      const runs = setup.rig.taken.length;
      assert.ok(runs > (quotaBytes < 200_000 ? 3 : 1), String(runs));
      for (const { plan } of setup.rig.taken) {
        const data = setup.rig.added.filter(({ group }) => group === plan.dataGroup);
        const bytes = data.reduce((sum, block) => sum + block.bytes.length, 0);
        assert.ok(bytes <= quotaBytes + setup.node.limits.chunk_bytes_max + 4200, String(bytes));
      }
      const [expected, found] = [await direct.rig.entries(whole), await setup.rig.entries(setup.rig.last!)];
      assert.deepEqual([...found.keys()], [...expected.keys()]);
      for (const [path, entry] of expected) assert.deepEqual(cutsOf(found.get(path)!), cutsOf(entry), path);
      setup.rig.opened.length = 0;
      assert.equal((await setup.rig.take({ spool })).unchanged, expected.size - 3);
      assert.deepEqual(setup.rig.opened, []);
    });
  }
}

test('a file that changes between the runs that store it in part is stored as it is then', async () => {
  const setup = await simulatedRig();
  fill(setup);
  await setup.simulation.run(MINUTE);
  const first = await setup.rig.take({ quotaBytes: 50_000 });
  const until = untilOf(setup, first.signed)!;
  assert.equal(until.path, 'home\0a\0large');
  assert.ok(until.offset > 0);
  assert.equal((await setup.rig.entries(first.signed)).get('/home/a/large')!.partial, true);
  setup.node.files.writeAt('/home/a/large', 5, 'changed');
  await setup.simulation.run(MINUTE);
  const second = await setup.rig.take();
  await assertIsTree(setup, second.signed);
  await setup.rig.assertBaseRule();
});

test('a file stored in part that changes just before it is opened again is read from its start', async () => {
  const setup = await simulatedRig();
  fill(setup);
  await setup.simulation.run(MINUTE);
  await setup.rig.take({ quotaBytes: 50_000 });
  setup.rig.before = (what, path) => {
    if (what !== 'open' || path !== '/home/a/large') return;
    setup.rig.before = null;
    setup.node.files.writeAt(path, 5, 'changed');
  };
  const { signed } = await setup.rig.take();
  await assertIsTree(setup, signed);
  await setup.rig.assertBaseRule();
});

test('what was covered is not read again when the run goes on', async () => {
  const setup = await simulatedRig();
  for (let i = 100; i < 200; i++) setup.node.files.write(`/home/${i}`, noise(i, 900));
  await setup.simulation.run(MINUTE);
  const opened: string[] = [];
  let complete = false;
  while (!complete) {
    setup.rig.opened.length = 0;
    complete = (await setup.rig.take({ quotaBytes: 20_000 })).complete;
    const covered = setup.rig.taken.at(-2)?.signed;
    const until = covered === undefined ? null : untilOf(setup, covered);
    if (until !== null)
      for (const path of setup.rig.opened) assert.ok(path >= `/${until.path.replaceAll('\0', '/')}`);
    opened.push(...setup.rig.opened);
  }
  assert.ok(setup.rig.taken.length > 3);
});

test('a quota of nothing stores at least one chunk a run', async () => {
  const setup = await simulatedRig();
  for (let i = 0; i < 4; i++) setup.node.files.write(`/home/${i}`, noise(i, 900));
  setup.node.files.write('/home/large', noise('large', 9000));
  await setup.simulation.run(MINUTE);
  while (!(await setup.rig.take({ quotaBytes: 0 })).complete) assert.ok(setup.rig.taken.length < 20);
  await assertIsTree(setup, setup.rig.last!);
});

test('a quota that is reached with the last block makes the snapshot complete', async () => {
  const setup = await simulatedRig();
  setup.node.files.write('/home/a', noise('a', 900));
  setup.node.files.write('/home/empty', '');
  setup.node.files.write('/home/same', noise('a', 900));
  await setup.simulation.run(MINUTE);
  assert.equal((await setup.rig.take({ quotaBytes: 1 })).complete, true);
});
