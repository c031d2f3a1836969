import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { refusedAs } from '../format/test-support.ts';
import { realCommands } from './commands.ts';
import type { Command } from './ports.ts';

const directory = mkdtempSync(join(tmpdir(), 'lowtide-commands-'));
after(() => rmSync(directory, { recursive: true }));
const shell = (line: string, more: Partial<Command> = {}): Command => ({
  words: ['sh', '-c', line],
  environment: {},
  timeoutMs: 60_000,
  stop: new AbortController().signal,
  ...more,
});
const commands = realCommands();

test('a command that ends with 0 is well, and any other end says how and what was said', async () => {
  assert.deepEqual(await commands.run(shell('exit 0')), { ok: true, status: 0, how: '', said: '' });
  assert.deepEqual(await commands.run(shell('echo no >&2; exit 3')), {
    ok: false,
    status: 3,
    how: 'it ended with status 3',
    said: 'no',
  });
  assert.equal((await commands.run(shell('kill -9 $$'))).how, 'it was ended by SIGKILL');
  const missing = await commands.run(shell('', { words: [join(directory, 'no')] }));
  assert.match(missing.how, /could not be started: no such file/);
  const { said } = await commands.run(shell('seq 10000 >&2; exit 1'));
  assert.ok(said.length <= 2000 && said.endsWith('10000'));
});

test('what is not done in time is ended, with all that it has started', async () => {
  const line = 'sleep 4444 & trap "" TERM; sleep 4444';
  const end = await commands.run(shell(line, { timeoutMs: 200 }));
  assert.deepEqual([end.ok, end.how], [false, 'it took longer than 0.2 s and was ended']);
  const running = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
  assert.ok(!running.split('\n').includes('sleep 4444'));
});

test('a stop ends it, also one that came before', async () => {
  const stop = new AbortController();
  const running = commands.run(shell('sleep 60', { stop: stop.signal }));
  stop.abort();
  assert.equal((await running).how, 'it was stopped');
  assert.equal((await commands.run(shell('sleep 60', { stop: stop.signal }))).how, 'it was stopped');
});

test('an output is read from a file that has no name', async () => {
  const line = 'printf "$WORD"; printf "%0100000d" 7';
  const captured = await commands.capture(shell(line, { environment: { WORD: 'hello' } }), directory);
  assert.deepEqual(readdirSync(directory), []);
  assert.equal(captured.end.ok, true);
  assert.equal(captured.stat.size, 100_005);
  const file = captured.open();
  const into = Buffer.alloc(100_005);
  assert.equal(await file.read(into, 0), 100_005);
  assert.match(into.toString('latin1'), /^hello0+7$/);
  await file.close();
  captured.close();
  captured.close();
});

test('an output that has no place is the disk’s failure', async () => {
  await assert.rejects(commands.capture(shell('true'), join(directory, 'no')), refusedAs('not-found'));
});
