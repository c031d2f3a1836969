import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Pair } from './pair.ts';
import { LOWTIDE, lowtideJson, newFolder, REPOSITORY, removeFolder, run, type Line } from './processes.ts';

const NOBODY = 65_534;
const root = process.getuid?.() === 0;

/** Whoever runs the tests, the program runs as somebody to whom permissions mean something. */
const asNobody = root ? { uid: NOBODY } : {};
const env = { LOWTIDE_PASSWORD: 'secret' };

const summaryOf = (lines: readonly Line[]): Line => lines.find((line) => line.message_type === 'summary')!;

test('a file and a folder that may not be read: exit 3, both told, the rest is backed up', async (t) => {
  const folder = newFolder('sources');
  t.after(() => removeFolder(folder));
  chmodSync(folder, 0o777);
  const reachable = await run('test', ['-x', LOWTIDE], { ...asNobody, exits: [0, 1] });
  if (reachable.code !== 0) return t.skip(`${REPOSITORY} is closed to other users`);
  const source = join(folder, 'source');
  mkdirSync(join(source, 'closed'), { recursive: true });
  for (const name of ['open', 'secret', 'closed/inside']) writeFileSync(join(source, name), name);
  chmodSync(join(source, 'secret'), 0);
  chmodSync(join(source, 'closed'), 0);
  if (root)
    for (const name of ['', 'secret', 'closed', 'open']) chownSync(join(source, name), NOBODY, NOBODY);
  const depot = join(folder, 'depot');
  const lowtide = (args: readonly string[], exits: readonly number[]): Promise<Line[]> =>
    lowtideJson([...args, '--depot', depot], { ...asNobody, env, exits });
  await lowtideJson(['init', depot], { ...asNobody, env });
  const lines = await lowtide(['backup', source], [3]);
  const told = lines.filter(({ severity }) => severity === 'error').map(({ path, code }) => [path, code]);
  const byPath = told.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  assert.deepEqual(byPath, [
    [join(source, 'closed'), 'source-unreadable'],
    [join(source, 'secret'), 'source-unreadable'],
  ]);
  assert.equal(summaryOf(lines)['problems'], 2);
  const target = join(folder, 'target');
  await lowtide(['restore', 'latest', '--to', target], [0]);
  assert.equal(readFileSync(join(target, source, 'open'), 'utf8'), 'open');
});

test('a file that grows while it is read: some state of it is kept, and the next backup has the rest', async (t) => {
  const folder = newFolder('growing');
  t.after(() => removeFolder(folder));
  const source = join(folder, 'source');
  mkdirSync(source);
  const log = join(source, 'log');
  writeFileSync(log, 'x'.repeat(8_000_000));
  const depot = join(folder, 'depot');
  const lowtide = (args: readonly string[], exits: readonly number[] = [0]): Promise<Line[]> =>
    lowtideJson([...args, '--depot', depot], { env, exits });
  await lowtideJson(['init', depot], { env });
  const writer = spawn('sh', ['-c', 'while :; do printf "%01000d\\n" 7 >> "$1"; done', 'sh', log]);
  t.after(() => writer.kill('SIGKILL'));
  const first = await lowtide(['backup', source], [0, 3]);
  writer.kill('SIGKILL');
  await new Promise((resolve) => writer.once('close', resolve));
  await lowtide(['restore', 'latest', '--to', join(folder, 'first')]);
  const whole = readFileSync(log);
  const kept = readFileSync(join(folder, 'first', log));
  assert.ok(kept.length >= 8_000_000 && kept.length < whole.length, 'it was backed up while it grew');
  assert.ok(whole.subarray(0, kept.length).equals(kept), 'a state that the file had');
  assert.equal(summaryOf(first)['problems'], 0);
  await lowtide(['backup', source]);
  await lowtide(['restore', 'latest', '--to', join(folder, 'second')]);
  assert.ok(readFileSync(join(folder, 'second', log)).equals(whole));
});

let pair: Pair;
before(async () => {
  pair = await Pair.make('roots');
  await pair.startAgent();
});
after(() => pair.close());

test('a root that vanishes or is suddenly empty fails the job: told by job run and status, and nothing is taken', async () => {
  const documents = pair.newFolder('documents');
  writeFileSync(join(documents, 'letter'), 'dear reader');
  await pair.onAgent('job', 'add', 'documents', documents, '--backup', 'manual');
  await pair.onAgent('job', 'run', 'documents', '--wait', '30s');
  const failing = async (): Promise<Line> => {
    const lines = await pair.askAgent(['job', 'run', 'documents'], { exits: [1] });
    return lines.find((line) => line.message_type === 'exit_error')!;
  };
  const remarks = async (): Promise<unknown> => {
    const { jobs } = await pair.status();
    const { level, remarks } = jobs[0]!['protection'] as { level: string; remarks: { code: string }[] };
    return [level, ...remarks.map(({ code }) => code)];
  };
  renameSync(documents, `${documents}.away`);
  const missing = await failing();
  assert.equal(missing['code'], 'source-missing');
  assert.match(String(missing['message']), new RegExp(documents));
  assert.deepEqual(await remarks(), ['protected', 'source-missing']);
  mkdirSync(documents);
  assert.equal((await failing())['code'], 'source-empty');
  assert.deepEqual(await remarks(), ['protected', 'source-empty']);
  assert.equal((await pair.snapshots()).length, 1);
  rmSync(documents, { recursive: true });
  renameSync(`${documents}.away`, documents);
  await pair.onAgent('job', 'run', 'documents');
  assert.deepEqual(((await remarks()) as string[])[0], 'protected');
});
