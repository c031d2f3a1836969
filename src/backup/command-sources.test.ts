import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BackupRig } from '../../test/backup/rig.ts';
import { collectingMonitor } from '../../test/support/monitor.ts';
import { refusedAs } from '../format/test-support.ts';
import { tinyLimits } from '../model/limits.ts';
import { displayPath } from '../model/paths.ts';
import type { World } from '../world/ports.ts';
import { realWorld } from '../world/real-world.ts';
import { type CommandWorld, withCommandSources } from './command-sources.ts';

interface Setup {
  readonly world: World;
  readonly rig: BackupRig;
  readonly folder: string;
  readonly sources: (commands: Record<string, string>, alone?: boolean) => Promise<CommandWorld>;
}

async function prepared(run: (setup: Setup) => Promise<void>): Promise<void> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'lowtide-outputs-')));
  const world = realWorld({ monitor: collectingMonitor(), limits: tinyLimits });
  try {
    const home = join(folder, 'home');
    const temporary = join(folder, 'temporary');
    for (const made of [home, temporary]) mkdirSync(made);
    writeFileSync(join(home, 'file'), 'x');
    const rig = await BackupRig.make({ world, depotPath: join(folder, 'depot'), roots: [home] });
    const sources: Setup['sources'] = (commands, alone = false) => {
      const list = Object.entries(commands).map(([name, line]) => ({ name, words: ['sh', '-c', line] }));
      const options = {
        directory: temporary,
        environment: {},
        timeoutMs: null,
        stop: new AbortController().signal,
      };
      return withCommandSources(world, list, options, alone);
    };
    await run({ world, rig, folder, sources });
    assert.deepEqual(readdirSync(temporary), []);
    await rig.depot.close();
  } finally {
    await world.close();
    rmSync(folder, { recursive: true });
  }
}

test('what commands print is backed up as files of the snapshot', async () => {
  await prepared(async ({ world, rig, folder, sources }) => {
    const made = await sources({ 'app.sql': 'seq 20000', empty: 'true', grün: 'printf x' });
    try {
      Object.assign(rig.world, { files: made.world.files });
      const paths = [...rig.plan().roots, ...made.paths];
      const { signed, counts } = await rig.take({ roots: paths });
      assert.equal(counts.problems, 0);
      const entries = await rig.entries(signed);
      assert.deepEqual(
        [...entries.keys()],
        ['/app.sql', '/empty', '/grün', join(folder, 'home'), join(folder, 'home/file')],
      );
      const entry = entries.get('/app.sql')!;
      const expected = Array.from({ length: 20_000 }, (_, at) => `${at + 1}\n`).join('');
      assert.equal(Buffer.from(await rig.content(entry)).toString(), expected);
      assert.deepEqual([entry.mode, entry.uid], [0o600, process.getuid!()]);
    } finally {
      made.close();
      Object.assign(rig.world, { files: world.files });
    }
  });
});

test('they are there too if all of / is backed up, and hide what has the same name', async () => {
  await prepared(async ({ sources }) => {
    const { world, close } = await sources({ tmp: 'printf x', 'zz output': 'printf y' });
    const { entries } = await world.files.scan('' as never);
    const named = entries.filter(({ name }) => ['tmp', 'zz output'].includes(name));
    assert.deepEqual(
      named.map(({ name, type, size }) => [name, type, size]),
      [
        ['tmp', 'file', 1],
        ['zz output', 'file', 1],
      ],
    );
    close();
  });
});

test('a command that fails costs its own entry, and the rest is backed up', async () => {
  await prepared(async ({ rig, folder, world, sources }) => {
    const made = await sources({ 'bad.sql': 'seq 100; echo broken >&2; exit 3', 'good.sql': 'seq 10' });
    Object.assign(rig.world, { files: made.world.files });
    const { signed, counts, problems } = await rig.take({ roots: [...rig.plan().roots, ...made.paths] });
    made.close();
    Object.assign(rig.world, { files: world.files });
    assert.equal(counts.problems, 1);
    assert.deepEqual(
      problems.map(({ path, code, message }) => [path, code, message]),
      [['/bad.sql', 'source-unreadable', 'the command for /bad.sql failed: it ended with status 3: broken']],
    );
    assert.deepEqual(
      [...(await rig.entries(signed)).keys()],
      ['/good.sql', join(folder, 'home'), join(folder, 'home/file')],
    );
  });
});

test('if there is nothing else, and all have failed, nothing is backed up', async () => {
  await prepared(async ({ sources }) => {
    await assert.rejects(sources({ a: 'exit 1', b: 'exit 2' }, true), refusedAs('command-failed'));
    const { paths, close } = await sources({ a: 'exit 1', b: 'true' }, true);
    assert.deepEqual(paths.map(displayPath), ['/a', '/b']);
    close();
  });
});

test('names that no file can have are refused, and names given twice', async () => {
  await prepared(async ({ sources, world }) => {
    for (const name of ['', '..', 'a/b', 'x'.repeat(256)])
      await assert.rejects(sources({ [name]: 'true' }), refusedAs('bad-name'));
    const twice = [1, 2].map(() => ({ name: 'a', words: ['true'] }));
    const options = {
      directory: tmpdir(),
      environment: {},
      timeoutMs: null,
      stop: new AbortController().signal,
    };
    await assert.rejects(withCommandSources(world, twice, options, false), refusedAs('bad-name'));
  });
});
