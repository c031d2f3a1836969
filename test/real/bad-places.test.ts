import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { lowtideJson, newFolder, removeFolder, type Line } from './processes.ts';

const env = { LOWTIDE_PASSWORD: 'secret' };
const MiB = 2 ** 20;

/** A file system of its own, as long as the test runs. Null, and the test is skipped, where none may be mounted. */
function mounted(t: TestContext, folder: string, type: string, how: string): string | null {
  const at = join(folder, `${type}-${how.replaceAll(/\W/g, '-')}`);
  mkdirSync(at);
  try {
    execFileSync('mount', ['-t', type, '-o', how, type, at], { stdio: 'ignore' });
  } catch {
    t.skip(`no ${type} may be mounted here`);
    return null;
  }
  t.after(() => void execFileSync('umount', [at]));
  return at;
}

/** Its folder is removed when all that is mounted in it is gone. */
async function prepared(
  t: TestContext,
  run: (
    folder: string,
    lowtide: (args: readonly string[], exits?: readonly number[]) => Promise<Line[]>,
  ) => Promise<void>,
): Promise<void> {
  const folder = newFolder('bad-places');
  const depot = join(folder, 'depot');
  await lowtideJson(['init', depot], { env });
  await run(folder, (args, exits = [0]) => lowtideJson([...args, '--depot', depot], { env, exits }));
  t.after(() => removeFolder(folder));
}

const write = (path: string, size: number): void =>
  writeFileSync(path, Buffer.alloc(size, `${path} ${size} `));
const lines = (all: readonly Line[], code: string): readonly Line[] =>
  all.filter((line) => line['code'] === code);

test('a source that is full, and one that may only be read, are backed up as any other', async (t) => {
  await prepared(t, async (folder, lowtide) => {
    const source = mounted(t, folder, 'tmpfs', 'size=2m');
    if (source === null) return;
    writeFileSync(join(source, 'first'), 'x');
    try {
      for (let n = 0; ; n++) write(join(source, `${n}`), 256 * 1024);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
    const before = readdirSync(source);
    await lowtide(['backup', source]);
    execFileSync('mount', ['-o', 'remount,ro', source]);
    const again = await lowtide(['backup', source]);
    const summary = again.find(({ message_type }) => message_type === 'summary');
    assert.equal(summary?.['problems'], 0);
    assert.deepEqual(readdirSync(source), before);
    const target = join(folder, 'target');
    await lowtide(['restore', 'latest', '--to', target]);
    assert.deepEqual(readdirSync(join(target, source)), before);
  });
});

test('a target without extended attributes gets all else, and one line says what is missing', async (t) => {
  await prepared(t, async (folder, lowtide) => {
    const target = mounted(t, folder, 'ramfs', 'mode=700');
    if (target === null) return;
    const source = join(folder, 'source');
    mkdirSync(source);
    for (const name of ['a', 'b', 'c']) write(join(source, name), 1000);
    try {
      for (const name of ['a', 'b'])
        execFileSync('setcap', ['cap_net_raw+ep', join(source, name)], { stdio: 'ignore' });
      execFileSync('chattr', ['+d', join(source, 'c')], { stdio: 'ignore' });
    } catch {
      return t.skip('no capabilities or flags can be set here');
    }
    await lowtide(['backup', source]);
    const told = lines(await lowtide(['restore', 'latest', '--to', target]), 'not-taken');
    assert.deepEqual(
      told.map(({ message }) => String(message).split(':')[0]),
      [
        'the extended attributes of 2 restored names could not be set, of this one first',
        'the flags of one restored name could not be set',
      ],
    );
    assert.equal(readFileSync(join(target, source, 'a')).length, 1000);
  });
});

test('a target that is full amid a restore has whole files only, and the restore goes on when there is room', async (t) => {
  await prepared(t, async (folder, lowtide) => {
    const target = mounted(t, folder, 'tmpfs', 'size=6m');
    if (target === null) return;
    const source = join(folder, 'source');
    mkdirSync(source);
    for (let n = 0; n < 12; n++) write(join(source, `file ${n}`), MiB);
    await lowtide(['backup', source]);
    const failed = await lowtide(['restore', 'latest', '--to', target], [1]);
    assert.equal(lines(failed, 'disk-full').length, 1);
    const there = readdirSync(join(target, source));
    assert.ok(there.length > 0 && there.length < 12, `${there.length}`);
    const whole = (name: string): void => {
      assert.ok(readFileSync(join(target, source, name)).equals(readFileSync(join(source, name))), name);
      const [is, was] = [target, ''].map((root) => statSync(join(root, source, name)));
      assert.deepEqual([is!.mode, is!.mtimeMs], [was!.mode, was!.mtimeMs]);
    };
    for (const name of there) whole(name);
    execFileSync('mount', ['-o', 'remount,size=32m', target]);
    const rest = await lowtide(['restore', 'latest', '--to', target]);
    const summary = rest.find(({ message_type }) => message_type === 'summary');
    assert.deepEqual([summary?.['skipped'], summary?.['files']], [there.length, 12 - there.length]);
    for (const name of readdirSync(source)) whole(name);
  });
});

test('/proc and /sys are left empty in a backup of what is above them', async (t) => {
  await prepared(t, async (folder, lowtide) => {
    const proc = mounted(t, folder, 'proc', 'ro');
    if (proc === null) return;
    writeFileSync(join(folder, 'beside'), 'x');
    const told = lines(await lowtide(['backup', folder]), 'not-given');
    assert.equal(told.length, 1);
    assert.match(String(told[0]!['message']), /^the content of one name: .*\(proc\) is the kernel's own/);
    const target = join(folder, 'target');
    await lowtide(['restore', 'latest', '--to', target]);
    assert.deepEqual(readdirSync(join(target, proc)), []);
    assert.equal(readFileSync(join(target, folder, 'beside'), 'utf8'), 'x');
  });
});
