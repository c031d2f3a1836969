import assert from 'node:assert/strict';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BackupRig, noise } from '../../test/backup/rig.ts';
import { decodeAttributes } from '../format/attributes.ts';
import { tinyLimits, limits as productionLimits, type Limits } from '../model/limits.ts';
import { collectingMonitor } from '../../test/support/monitor.ts';
import { realFiles } from '../world/source/files.ts';
import { nativeLoader } from '../world/system/native.ts';
import type { Work } from '../world/ports.ts';
import { realWorld } from '../world/real-world.ts';

/** Files of the real file system, old enough to be settled, and a few threads. */
async function onRealFiles(
  limits: Limits,
  run: (rig: BackupRig, home: string) => Promise<void>,
  around: (work: Work) => Work = (work) => work,
): Promise<void> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'lowtide-backup-')));
  const real = realWorld({ monitor: collectingMonitor(), limits: { ...limits, unsettled_ms: -1 } });
  const world = { ...real, files: realFiles(nativeLoader(), around(real.work)) };
  const home = join(folder, 'home');
  mkdirSync(join(home, 'deep', 'er'), { recursive: true });
  try {
    const rig = await BackupRig.make({ world, depotPath: join(folder, 'depot'), roots: [home] });
    await run(rig, home);
    await rig.depot.close();
  } finally {
    await real.close();
    rmSync(folder, { recursive: true });
  }
}

async function assertIsStored(rig: BackupRig, home: string, names: readonly string[]): Promise<void> {
  const entries = await rig.entries(rig.last!);
  for (const name of names) {
    const path = join(home, name);
    const entry = entries.get(path);
    assert.ok(entry !== undefined, path);
    assert.ok(readFileSync(path).equals(await rig.content(entry)), path);
  }
}

test('real files through real threads, and nothing opened when nothing changed', async () => {
  await onRealFiles(tinyLimits, async (rig, home) => {
    const names = ['a', 'deep/large', 'deep/er/small', 'link', 'sparse'];
    writeFileSync(join(home, 'a'), noise('a', 900));
    writeFileSync(join(home, 'deep/large'), noise('large', 200_000));
    for (let i = 0; i < 300; i++) writeFileSync(join(home, 'deep/er', String(i)), noise(i, 40 + i));
    writeFileSync(join(home, 'deep/er/small'), 'small');
    linkSync(join(home, 'deep/large'), join(home, 'link'));
    symlinkSync('/etc', join(home, 'out'));
    writeFileSync(join(home, 'sparse'), 'start');
    truncateSync(join(home, 'sparse'), 5_000_000);
    const first = await rig.take();
    await assertIsStored(rig, home, names);
    assert.deepEqual([first.counts.problems, first.counts.others], [0, 1]);
    assert.ok(first.storedBytes < 1_000_000, 'the hole costs nothing');
    rig.opened.length = 0;
    const second = await rig.take();
    assert.deepEqual([rig.opened.length, second.storedBlocks], [0, 0]);
    writeFileSync(join(home, 'a'), noise('b', 901));
    utimesSync(join(home, 'deep/er/7'), 1, 1);
    await rig.take();
    assert.deepEqual(
      rig.opened.toSorted(),
      ['a', 'deep/er/7'].map((name) => join(home, name)),
    );
    await assertIsStored(rig, home, [...names, 'deep/er/7']);
    await rig.assertBaseRule();
  });
});

test('with the limits of production, too', async () => {
  await onRealFiles(productionLimits, async (rig, home) => {
    writeFileSync(join(home, 'large'), noise('large', 11_000_000));
    writeFileSync(join(home, 'text'), 'the same line again and again\n'.repeat(200_000));
    for (let i = 0; i < 100; i++) writeFileSync(join(home, 'deep', String(i)), noise(i, i * 300));
    const { storedBytes } = await rig.take({ spool: 'depot' });
    assert.ok(storedBytes < 13_500_000, String(storedBytes));
    await assertIsStored(rig, home, ['large', 'text', 'deep/3', 'deep/99']);
    const bytes = readFileSync(join(home, 'large'));
    writeFileSync(
      join(home, 'large'),
      Buffer.concat([bytes.subarray(0, 5_000_000), Buffer.from('put in'), bytes.subarray(5_000_000)]),
    );
    const second = await rig.take({ spool: 'depot' });
    assert.ok(second.storedBytes < 5_000_000, String(second.storedBytes));
    await assertIsStored(rig, home, ['large']);
  });
});

test('whether small files, new or changed, have attributes comes with their content, in the same task', async () => {
  const asked: string[] = [];
  const counting = (work: Work): Work => ({
    lanes: work.lanes,
    sha256: (parts) => work.sha256(parts),
    run: (task, input, transfer, stop) => {
      asked.push(task.name);
      return work.run(task, input, transfer, stop);
    },
  });
  await onRealFiles(
    tinyLimits,
    async (rig, home) => {
      for (let i = 0; i < 200; i++) writeFileSync(join(home, 'deep/er', String(i)), noise(i, 400));
      writeFileSync(join(home, 'deep/er/with'), 'small');
      writeFileSync(join(home, 'deep/bare'), 'small');
      const path = Buffer.from(join(home, 'deep/er/with'));
      nativeLoader()().attributes.set({ path, lastLink: 'kept' }, 'user.of', Buffer.from('it'));
      const entries = await rig.take().then(({ signed }) => rig.entries(signed));
      const of = (name: string) => decodeAttributes(entries.get(join(home, name))!.extra!);
      assert.deepEqual(of('deep/er/with').xattrs, [
        { name: 'user.of', value: new Uint8Array(Buffer.from('it')) },
      ]);
      assert.deepEqual([of('deep/er/7').xattrs, of('deep/er/7').flags], [[], 0]);
      assert.ok(of('deep/er/7').birth! > 0n);
      // The three directories, and the one file that has some.
      assert.equal(asked.filter((name) => name === 'attributesInThread').length, 4);
      // The same for those that have changed since, of which only the one that has some is asked apart.
      const changed = ['deep/bare', 'deep/er/7', 'deep/er/with'];
      for (const name of changed) writeFileSync(join(home, name), noise(name, 300));
      asked.length = 0;
      const later = await rig.take();
      await assertIsStored(rig, home, changed);
      assert.equal(later.unchanged, 199);
      assert.equal(asked.filter((name) => name === 'attributesInThread').length, 1);
    },
    counting,
  );
});
