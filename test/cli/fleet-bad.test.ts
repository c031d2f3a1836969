import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import {
  type CenterFolder,
  type Daemon,
  endsOfSuite,
  fails,
  lowtide,
  makeCenter,
  ok,
  running,
  scratch,
  smallTree,
} from './kit.ts';

const CLOCK_AHEAD = new URL('clock-ahead.mjs', import.meta.url).href;

describe('bad input to centers and agents', () => {
  const ends = endsOfSuite();
  let folder: string;
  let files: string;
  let center: CenterFolder;
  let centerDaemon: Daemon;
  let agent: string[];
  let usedToken: string;
  before(async () => {
    folder = await scratch(ends);
    files = await smallTree(folder);
    center = await makeCenter(folder, '--windows', '22:00-23:00', '--zone', 'UTC');
    centerDaemon = await running(ends, ['center', 'run', '--data', center.data]);
    agent = ['--data', join(folder, 'agent')];
    usedToken = await center.token();
    await ok(['agent', 'join', usedToken, ...agent]);
    await ok(['job', 'add', 'docs', files, '--backup', 'manual', '--transfer', '22:00-23:00', ...agent]);
  });
  const nobody = (): string[] => ['--data', join(folder, 'nobody')];
  const nothingMade = async (): Promise<void> => {
    const made = await readdir(join(folder, 'nobody')).catch(() => []);
    assert.deepEqual(
      made.filter((name) => name !== 'identity'),
      [],
    );
  };

  it('tokens that are none, mistyped, used or expired are told apart, and make no agent', async () => {
    const short = await center.token('--expires', '1s');
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await Promise.all([
      fails('token-bad', /not a join token/, ['agent', 'join', 'hello', ...nobody()]),
      fails('token-bad', /mistyped or cut off/, ['agent', 'join', usedToken.slice(0, -4), ...nobody()]),
      fails('token-used', /used by another machine/, ['agent', 'join', usedToken, ...nobody()]),
    ]);
    await Promise.all([
      fails('token-expired', /has expired/, ['agent', 'join', '-', ...nobody()], { input: short }),
      fails('client-exists', /another client named ann/, [
        'agent',
        'join',
        await center.token(),
        ...nobody(),
      ]),
    ]);
    await nothingMade();
    await fails('bad-request', /not a time span/, [
      'center',
      'token',
      '--expires',
      'soon',
      '--data',
      center.data,
    ]);
    await fails('bad-request', /at most a day/, [
      'center',
      'token',
      '--expires',
      '2d',
      '--data',
      center.data,
    ]);
  });

  it('a center that is not the one of the token is found out before anything secret is said', async () => {
    const token = await center.token('--name', 'bob');
    await centerDaemon.stop();
    await fails('center-unreachable', /cannot be reached: nothing listens there/, [
      'agent',
      'join',
      token,
      ...nobody(),
    ]);
    const falseCenter = join(folder, 'false');
    await ok([
      'center',
      'init',
      '--data',
      falseCenter,
      '--listen',
      center.address,
      '--address',
      center.address,
    ]);
    const impostor = await running(ends, ['center', 'run', '--data', falseCenter]);
    await fails('wrong-center', /not/, ['agent', 'join', token, ...nobody()]);
    await nothingMade();
    const run = await lowtide(['job', 'run', 'docs', '--wait', '2s', '--json', ...agent]);
    assert.equal(run.exit, 4);
    assert.match(
      run.message('exit_error').message,
      /connection to tokyo, away since \d\d:\d\d UTC: .*(center|answers)/,
    );
    await impostor.stop();
    centerDaemon = await running(ends, ['center', 'run', '--data', center.data]);
  });

  it('windows that never meet are refused when the job is added, both printed', async (t) => {
    const daemon = await running(t, ['agent', 'run', ...agent]);
    await daemon.event('connected');
    const before = await readFile(join(folder, 'agent', 'jobs.yaml'), 'utf8');
    const refused = await fails('windows-never-meet', /08:00-09:00 Asia\/Tokyo.*22:00-23:00 UTC/, [
      'job',
      'add',
      'never',
      files,
      '--transfer',
      '08:00-09:00',
      '--zone',
      'Asia/Tokyo',
      ...agent,
    ]);
    assert.match(refused.stderr, /tokyo/);
    assert.equal(await readFile(join(folder, 'agent', 'jobs.yaml'), 'utf8'), before);
    await fails('locked', /in use by process|another process/, ['agent', 'run', ...agent]);
    // Nobody checks what is written by hand when it is written.
    const edited = before.replace(
      /transfer: .*\n(\s+)zone: .*\n/,
      'transfer: 08:00-09:00\n$1zone: Asia/Tokyo\n',
    );
    assert.notEqual(edited, before);
    await writeFile(join(folder, 'agent', 'jobs.yaml'), edited);
    for (const verb of [['status'], ['job', 'list']]) {
      const { stdout } = await lowtide([...verb, ...agent]);
      const text = stdout.replaceAll(/\s+/g, ' ');
      assert.match(
        text,
        /nothing of it can ever go to tokyo: it may travel 08:00-09:00 \(Asia\/Tokyo\), tokyo collects/,
      );
      assert.ok(
        stdout.split('\n').every((line) => line.length <= 100),
        stdout,
      );
    }
    await writeFile(join(folder, 'agent', 'jobs.yaml'), edited.replaceAll('Asia/Tokyo', 'Asia/Tokio'));
    const wrong = await lowtide(['status', ...agent]);
    assert.match(wrong.stderr, /NOT IN FORCE, what was there before is: .*jobs\.yaml:\d+:\d+: .*Asia\/Tokyo/);
    const yaml = join(center.data, 'center.yaml');
    const conditions = await readFile(yaml, 'utf8');
    await writeFile(yaml, conditions.replace(/^streams: .*$/m, 'straems: 2'));
    const table = await lowtide(['center', 'conditions', '--data', center.data]);
    assert.match(table.stderr, /NOT IN FORCE.*center\.yaml:\d+:1: unknown key straems/);
    await writeFile(yaml, conditions);
    await writeFile(join(folder, 'agent', 'jobs.yaml'), before);
    assert.equal(await daemon.stop(), 0);
  });

  it('a backup outside the windows says what it waits for and until when', async (t) => {
    const daemon = await running(t, ['agent', 'run', ...agent], { TZ: 'Asia/Tokyo' });
    await daemon.event('connected');
    const run = await lowtide(['job', 'run', 'docs', '--wait', '2s', ...agent]);
    const open = new Date().getUTCHours() === 22;
    assert.equal(run.exit, open ? 0 : 4, run.stdout + run.stderr);
    const plan = await lowtide(['center', 'plan', '--data', center.data]);
    if (!open) {
      assert.match(
        run.stderr,
        /waiting for your window: opens 07:00 Asia\/Tokyo(, expected [^()]*)? \(not-collected\)/,
      );
      assert.match(plan.stdout, /waiting for the computer's window: opens (2.*)?22:00 UTC/);
    }
    await daemon.stop();
  });

  it('jobs that are unknown, doubled or wrong are told, and change nothing', async (t) => {
    await running(t, ['agent', 'run', ...agent]);
    const before = await readFile(join(folder, 'agent', 'jobs.yaml'), 'utf8');
    const add = (...more: string[]): string[] => ['job', 'add', 'x', files, ...more, ...agent];
    await Promise.all([
      fails('no-such-job', /there is no job nope/, ['job', 'run', 'nope', ...agent]),
      fails('no-such-job', /there is no job nope/, ['job', 'remove', 'nope', ...agent]),
      fails('job-exists', /there is a job docs already/, ['job', 'add', 'docs', files, ...agent]),
      fails('bad-schedule', /"whenever"/, add('--backup', 'whenever')),
      fails('bad-schedule', /"25:00-26:00"/, add('--transfer', '25:00-26:00')),
      fails('bad-zone', /nearest name is Europe\/Berlin/, add('--zone', 'Europe/Berlim')),
      fails('not-enrolled', /has not joined a center osaka/, add('--center', 'osaka')),
      fails('bad-config', /small letters/, ['job', 'add', 'My Docs', files, ...agent]),
      fails('no-such-snapshot', /not? .*in the spool/, ['spool', 'discard', 'ffff', '--yes', ...agent]),
    ]);
    assert.equal(await readFile(join(folder, 'agent', 'jobs.yaml'), 'utf8'), before);
  });

  it('a mistake in a settings file is told with file, line and column', async () => {
    await withText(join(folder, 'agent', 'jobs.yaml'), 'jobs:\n  - name: docs\n    path: [/x]\n', () =>
      fails('bad-config', /jobs\.yaml:3:5: unknown key path: .*did you mean paths\?/, [
        'job',
        'remove',
        'docs',
        ...agent,
      ]),
    );
    await withText(join(folder, 'agent', 'agent.yaml'), 'spool: lots\n', () =>
      fails('bad-config', /agent\.yaml:1:8: "lots" is not a size/, ['status', ...agent]),
    );
    const other = join(folder, 'false');
    await withText(join(other, 'center.yaml'), 'zone: UTC\naddresses: [a]\nstreams: two\n', () =>
      fails('bad-config', /center\.yaml:3:10: streams: /, ['center', 'run', '--data', other]),
    );
    const stopped = 'zone: UTC\naddresses: [a]\nlines: [{name: kyoto, rate: 0 MB/s, clients: [a]}]\n';
    await withText(join(other, 'center.yaml'), stopped, () =>
      fails('bad-config', /center\.yaml:3:29: .*a rate above 0 \(to collect nothing/, [
        'center',
        'run',
        '--data',
        other,
      ]),
    );
    const runs = 'zone: UTC\naddresses: [a]\nnotWhile: [[pgrep, -x, ffmpeg]]\nallow: [/usr/bin/]\n';
    await withText(join(other, 'center.yaml'), runs, () =>
      fails('bad-config', /center\.yaml:3:12: "pgrep" is not allowed/, ['center', 'run', '--data', other]),
    );
  });

  it('a spool that is full takes nothing more and drops nothing', async () => {
    const { messages: before } = await ok(['spool', 'list', ...agent]);
    await withText(join(folder, 'agent', 'agent.yaml'), 'spool: 1 MiB\n', () =>
      fails('quota-full', /nothing uncollected is dropped/, ['job', 'run', 'docs', ...agent]),
    );
    assert.deepEqual((await ok(['spool', 'list', ...agent])).messages, before);
    const status = await ok(['status', ...agent]);
    assert.equal(status.message('job').protection.remarks[0]?.kind, 'failed');
  });

  it('a clock that is off raises an alarm', async (t) => {
    const env = { NODE_OPTIONS: `--import ${CLOCK_AHEAD}`, TEST_CLOCK_AHEAD_MS: String(20 * 60_000) };
    const daemon = await running(t, ['agent', 'run', ...agent], env);
    const alarm = await daemon.event('alarm', ({ code }) => code === 'clock-off');
    assert.match(alarm.message, /this clock is 20 min ahead of the clock of tokyo: set it/);
    await daemon.stop();
  });

  it('a center is not made twice, nor of what does not hold', async () => {
    const nowhere = ['--data', join(folder, 'new-center')];
    const init = (...more: string[]): string[] => ['center', 'init', ...more, ...nowhere];
    const here = ['--data', center.data];
    await Promise.all([
      fails('node-exists', /already holds the keys of a center/, ['center', 'init', ...here]),
      fails('bad-schedule', /"22-8"/, init('--windows', '22-8')),
      fails('bad-zone', /nearest name/, init('--zone', 'Tokyo!')),
      fails('bad-name', /not an address/, init('--address', 'http://x/')),
      fails('bad-request', /--streams many/, init('--streams', 'many')),
      fails('not-a-node', /lowtide center init/, ['center', 'token', ...nowhere]),
      fails('not-a-node', /lowtide agent join/, ['agent', 'run', ...nobody()]),
      fails('not-found', /there is no client bob/, ['center', 'client', 'revoke', 'bob', ...here]),
      fails('locked', /in use|listens there|already/, ['center', 'run', ...here]),
      fails('not-a-node', /lowtide center init/, ['service', 'print', 'center', ...nowhere]),
      fails('bad-request', /none of agent, center, relay/, ['service', 'print', 'centre', ...here]),
      fails('bad-request', /does not belong to|only root/, [
        'service',
        'print',
        'center',
        '--user',
        'x',
        ...here,
      ]),
    ]);
    const unit = (await ok(['service', 'print', 'center', ...here])).message('unit');
    assert.equal(unit.name, 'lowtide-center.service');
    assert.ok(unit.text.includes(`center run --data ${center.data}\n`), unit.text);
    assert.equal(await stat(join(folder, 'new-center')).catch(() => null), null);
  });

  async function withText(path: string, text: string, work: () => Promise<unknown>): Promise<void> {
    const before = await readFile(path, 'utf8');
    await writeFile(path, text);
    try {
      await work();
    } finally {
      await writeFile(path, before);
    }
  }
});
