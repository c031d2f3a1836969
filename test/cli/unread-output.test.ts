import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { text } from 'node:stream/consumers';
import { connectLocal } from '../../src/http/local-client.ts';
import { cleanEnv, LOWTIDE, lowtideJson } from '../real/processes.ts';
import { makeCenter, scratch } from './kit.ts';

const env = { LOWTIDE_PASSWORD: 'correct horse battery staple' };

it('P6: work goes on when nobody reads of it any more, and its exit code tells how it ended', async (t) => {
  const folder = await scratch(t);
  const depot = join(folder, 'depot');
  writeFileSync(join(folder, 'present'), 'here');
  await lowtideJson(['init', depot], { env });
  const sources = [join(folder, 'present'), '--source-command', 'dump=false'];
  const backup = await withoutReader(['backup', ...sources, '--depot', depot, '--json']);
  assert.deepEqual(backup, { exit: 3, stderr: '' });
  assert.equal((await lowtideJson(['snapshots', '--depot', depot], { env })).length, 1);
});

it('what was done and cannot be told, because the disk of the output is full, is exit code 1', async (t) => {
  const folder = await scratch(t);
  const depot = join(folder, 'depot');
  const { exit, stderr } = await onFullDisk(t, ['init', depot]);
  assert.equal(exit, 1);
  assert.match(stderr, /^lowtide: standard output cannot be written: ENOSPC[^\n]*\n$/);
  assert.equal((await lowtideJson(['snapshots', '--depot', depot], { env })).length, 0);
});

it('a daemon whose log nobody reads, or has no room, goes on', async (t) => {
  const folder = await scratch(t);
  const { data } = await makeCenter(folder);
  const args = ['center', 'run', '--data', data];
  const stopping = async (child: ChildProcess): Promise<void> => {
    await answering(join(data, 'socket'), child);
    child.kill('SIGTERM');
  };
  assert.deepEqual(await withoutReader(args, stopping), { exit: 0, stderr: '' });
  const full = await onFullDisk(t, args, stopping);
  assert.match(full.stderr, /cannot be written: ENOSPC/);
});

interface Ended {
  readonly exit: number | null;
  readonly stderr: string;
}

type Meanwhile = (child: ChildProcess) => Promise<void>;

async function withoutReader(args: readonly string[], meanwhile?: Meanwhile): Promise<Ended> {
  const child = spawn(LOWTIDE, args, { env: cleanEnv(env), stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  return await ended(child, meanwhile);
}

async function onFullDisk(t: TestContext, args: readonly string[], meanwhile?: Meanwhile): Promise<Ended> {
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  const child = spawn(LOWTIDE, args, { env: cleanEnv(env), stdio: ['ignore', full, 'pipe'] });
  return await ended(child, meanwhile);
}

async function ended(child: ChildProcess, meanwhile?: Meanwhile): Promise<Ended> {
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const [code, stderr] = await Promise.all([exit, text(child.stderr!), meanwhile?.(child)]);
  return { exit: code, stderr };
}

async function answering(socket: string, child: ChildProcess): Promise<void> {
  while ((await connectLocal(socket)) === null) {
    assert.equal(child.exitCode, null, 'it ended before it answered');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // Its first line was said before now.
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(child.exitCode, null, 'it ended with its log');
}
