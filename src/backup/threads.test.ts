import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BackupRig, noise } from '../../test/backup/rig.ts';
import { dieTask } from '../../test/conformance/tasks.ts';
import { collectingMonitor } from '../../test/support/monitor.ts';
import { isLowtideError } from '../model/errors.ts';
import { type Limits, tinyLimits } from '../model/limits.ts';
import type { Work, World } from '../world/ports.ts';
import { realWorld } from '../world/real-world.ts';

const LIMITS: Limits = { ...tinyLimits, unsettled_ms: -1 };

async function inFolder(run: (folder: string, home: string) => Promise<void>): Promise<void> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'lowtide-threads-')));
  const home = join(folder, 'home');
  mkdirSync(join(home, 'many'), { recursive: true });
  for (let i = 0; i < 200; i++) writeFileSync(join(home, 'many', String(i)), noise(i, (i * 37) % 3000));
  for (let i = 0; i < 6; i++)
    writeFileSync(join(home, `large-${i}`), noise(`large ${i % 5}`, 60_000 * (i + 1)));
  writeFileSync(join(home, 'text'), 'the same line again and again\n'.repeat(9000));
  for (const name of ['many', '.']) utimesSync(join(home, name), 1, 1);
  try {
    await run(folder, home);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param around what the run gets instead of the real threads */
async function withRig<T>(
  options: { readonly depotPath: string; readonly home: string; readonly lanes: number },
  run: (rig: BackupRig) => Promise<T>,
  around: (work: Work) => Work = (work) => work,
): Promise<T> {
  const real = realWorld({ monitor: collectingMonitor(), limits: LIMITS, lanes: options.lanes });
  const world: World = { ...real, work: around(real.work) };
  try {
    const rig = await BackupRig.make({ world, depotPath: options.depotPath, roots: [options.home] });
    const result = await run(rig);
    await rig.depot.close();
    return result;
  } finally {
    await real.close();
  }
}

test('one thread and four give the same blocks in the same order, the same tree and the same refs', async () => {
  await inFolder(async (folder, home) => {
    const outcome = (lanes: number): Promise<unknown> =>
      withRig({ depotPath: join(folder, `depot-${lanes}`), home, lanes }, async (rig) => {
        const { signed } = await rig.take();
        const { tree, refs } = signed.manifest;
        return {
          tree,
          refs,
          blocks: Object.groupBy(
            rig.added.map(({ group, id }) => ({ group, id })),
            ({ group }) => group,
          ),
        };
      });
    assert.deepEqual(await outcome(4), await outcome(1));
  });
});

/** Kills a thread, with all that it has to do, when the task of this name is asked for the given time. */
function killing(work: Work, name: string, time: number, onKill: () => void): Work {
  let count = 0;
  return {
    lanes: work.lanes,
    run: (task, input, transfer) => {
      if (task.name === name && ++count === time) {
        onKill();
        void work.run(dieTask, null).catch(() => undefined);
      }
      return work.run(task, input, transfer);
    },
    sha256: (parts) => work.sha256(parts),
  };
}

for (const [name, time] of [
  ['sealData', 20],
  ['digestChunks', 3],
  ['scanPiece', 10],
] as const) {
  test(`a thread that dies at ${name} ends the run or harms nothing, and the next run is whole`, async () => {
    await inFolder(async (folder, home) => {
      const depotPath = join(folder, 'depot');
      const tries = async (rig: BackupRig): Promise<void> => {
        try {
          await rig.take();
        } catch (error) {
          assert.ok(isLowtideError(error, 'crashed'), String(error));
          assert.deepEqual(await Array.fromAsync(rig.depot.manifests()), []);
          await rig.depot.dropGroup('run-1');
        }
        const { signed, counts } = await rig.take();
        assert.equal(counts.problems, 0);
        const entries = await rig.entries(signed);
        for (const file of ['text', 'many/77', 'large-4', 'large-5']) {
          const path = join(home, file);
          assert.ok(readFileSync(path).equals(await rig.content(entries.get(path)!)), file);
        }
        const found = await Array.fromAsync(rig.depot.verify({ data: true }));
        assert.deepEqual(
          found.filter(({ code }) => code !== 'no-key'),
          [],
        );
      };
      let killed = false;
      const around = (work: Work): Work => killing(work, name, time, () => (killed = true));
      await withRig({ depotPath, home, lanes: 2 }, tries, around);
      assert.ok(killed);
    });
  });
}
