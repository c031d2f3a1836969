import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import type { AgentStatus } from '../../src/node/agent/view.ts';
import { connectLocal } from '../../src/http/local-client.ts';
import type { OneAnswer } from '../../src/http/local-verbs.ts';
import { Daemon, lowtide, makeCenter, ok, running, scratch } from './kit.ts';

async function largeTree(folder: string): Promise<string> {
  const root = join(folder, 'large');
  await mkdir(root);
  for (let at = 0; at < 12; at++) await writeFile(join(root, `${at}.bin`), randomBytes(5 << 20));
  return root;
}

it('a backup that is interrupted commits nothing, exit code 130, and the next one goes on', async (t) => {
  const folder = await scratch(t);
  const root = await largeTree(folder);
  const depot = ['--depot', join(folder, 'depot')];
  await ok(['init', join(folder, 'depot')]);
  const backup = new Daemon(['backup', root, ...depot]);
  await until(() =>
    backup.messages.some(({ message_type, bytes }) => message_type === 'status' && bytes > 0),
  );
  backup.signal('SIGINT');
  assert.equal(await backup.ended(), 130);
  assert.equal(backup.messages.at(-1)?.code, 'interrupted');
  assert.equal((await ok(['snapshots', ...depot])).messages.length, 0);
  assert.equal((await ok(['backup', root, ...depot])).message('summary').files, 12);
  assert.equal((await ok(['verify', ...depot])).message('summary').errors, 0);
});

it('an agent stops cleanly amid a backup, exit code 0, and takes it anew when it runs again', async (t) => {
  const folder = await scratch(t);
  const root = await largeTree(folder);
  const center = await makeCenter(folder);
  const agent = ['--data', join(folder, 'agent')];
  const centerDaemon = await running(t, ['center', 'run', '--data', center.data]);
  await ok(['agent', 'join', await center.token(), ...agent]);
  await ok(['job', 'add', 'large', root, '--backup', 'every 1 min', ...agent]);
  const first = await running(t, ['agent', 'run', ...agent]);
  const people = await connectLocal<{ status: OneAnswer<object, AgentStatus> }>(
    join(folder, 'agent', 'socket'),
  );
  assert.ok(people);
  await until(async () => (await people.ask('status', {})).taking === 'large');
  assert.equal(await first.stop(), 0);
  const second = await running(t, ['agent', 'run', ...agent]);
  await second.event('taken');
  await second.event('receipted');
  assert.equal((await lowtide(['status', ...agent])).stdout.includes('NOT PROTECTED'), false);
  assert.equal(await second.stop(), 0);
  assert.equal(await centerDaemon.stop(), 0);
});

it('a reader that closes its end is no error', async (t) => {
  const folder = await scratch(t);
  const child = spawn(
    'sh',
    ['-c', `"$0" --help | true; "$0" --help | head -1`, join(import.meta.dirname, '../../bin/lowtide')],
    {
      cwd: folder,
    },
  );
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdout.resume();
  const exit = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(exit, 0);
  assert.equal(stderr, '');
});

async function until(met: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await met()); tries++) {
    assert.ok(tries < 400, 'it did not come to that');
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
