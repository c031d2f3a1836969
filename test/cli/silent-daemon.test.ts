import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import { lowtide, LOWTIDE, makeCenter, running, scratch } from './kit.ts';

const pidOf = (data: string): number =>
  (JSON.parse(readFileSync(join(data, 'store', 'lock'), 'utf8')) as { pid: number }).pid;

it('a command says which process it waits for, and goes on when that does', async (t) => {
  const folder = await scratch(t);
  const center = await makeCenter(folder);
  const daemon = await running(t, ['center', 'run', '--data', center.data]);
  const pid = pidOf(center.data);
  process.kill(pid, 'SIGSTOP');
  const asked = spawn(LOWTIDE, ['center', 'status', '--data', center.data]);
  const said = new Promise<string>((resolve) => asked.stderr.setEncoding('utf8').once('data', resolve));
  assert.equal(await said, `waiting for an answer of process ${pid} on ${center.data}/socket\n`);
  process.kill(pid, 'SIGCONT');
  const [exit] = (await once(asked, 'exit')) as [number];
  assert.equal(exit, 0);
  assert.equal(await daemon.stop(), 0);
});

it('a daemon that has no more open files says so, and goes on when it may have more', async (t) => {
  const folder = await scratch(t);
  const center = await makeCenter(folder);
  const daemon = await running(t, ['center', 'run', '--data', center.data]);
  const pid = String(pidOf(center.data));
  const allow = (files: number): void => void execFileSync('prlimit', ['--pid', pid, `--nofile=${files}:`]);
  allow(Math.max(...readdirSync(`/proc/${pid}/fd`).map(Number)) + 2);
  const port = center.address.split(':').at(-1);
  const idle = new Set<Socket>();
  const crowd = setInterval(() => {
    for (let at = 0; at < 20; at++) idle.add(connect(Number(port), '127.0.0.1').on('error', () => {}));
  }, 300);
  t.after(() => clearInterval(crowd));
  // What it opens meanwhile, as its configuration, may fail first, with an alarm of its own.
  await daemon.event('alarm', ({ message }) =>
    /as many open files as it may, and connections to it fail/.test(message),
  );
  clearInterval(crowd);
  for (const socket of idle) socket.destroy();
  allow(4096);
  assert.equal((await lowtide(['center', 'status', '--data', center.data])).exit, 0);
  assert.equal(await daemon.stop(), 0);
});
