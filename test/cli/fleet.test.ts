import assert from 'node:assert/strict';
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { before, describe, it } from 'node:test';
import { compareFolders } from '../../src/cli/demo/compare-folders.ts';
import {
  type CenterFolder,
  type Daemon,
  endsOfSuite,
  lowtide,
  makeCenter,
  ok,
  running,
  scratch,
  smallTree,
} from './kit.ts';

/** A center and an agent as people set them up; the steps stand on each other. */
describe('two machines', () => {
  const ends = endsOfSuite();
  let folder: string;
  let files: string;
  let center: CenterFolder;
  let centerDaemon: Daemon;
  let agentDaemon: Daemon;
  let agent: string[];
  before(async () => {
    folder = await scratch(ends);
    files = await smallTree(folder);
    center = await makeCenter(folder, '--windows', 'daily any');
    agent = ['--data', join(folder, 'agent')];
  });

  it('the agent joins with the token from stdin and gets its recovery sheet once', async () => {
    const token = await center.token();
    centerDaemon = await running(ends, ['center', 'run', '--data', center.data]);
    const joined = await ok(['agent', 'join', '-', ...agent], { input: token + '\n' });
    assert.equal(joined.message('joined').name, 'ann');
    assert.match(joined.message('recovery_sheet').text, /^LOWTIDE RECOVERY SHEET/);
    const { messages } = await ok(['center', 'client', 'list', '--data', center.data]);
    assert.deepEqual(
      messages.map(({ name }) => name),
      ['ann'],
    );
    assert.equal((await stat(join(folder, 'agent'))).mode & 0o777, 0o700);
    assert.equal((await stat(join(folder, 'agent', 'identity', 'device.key'))).mode & 0o777, 0o600);
  });

  it('without a job the machine is not protected, and status says so', async () => {
    const { stdout, exit } = await lowtide(['status', ...agent]);
    assert.equal(exit, 0);
    assert.match(stdout, /NOT PROTECTED: there is no job/);
    const atCenter = await lowtide(['center', 'status', '--data', center.data]);
    assert.match(atCenter.stdout, /1 computer, 0 jobs: one needs a look\n  ann  NOTHING was ever offered/);
    assert.match(stdout, /The agent is NOT RUNNING/);
    assert.match(stdout, /Times are in UTC\./);
  });

  it('a job is added, with a warning for a path that is missing', async () => {
    const hours = ['--backup', 'manual', '--transfer', 'any', '--exclude', '*.tmp'];
    const added = await ok(['job', 'add', 'docs', files, ...hours, ...agent]);
    assert.deepEqual(added.message('job_added')['warnings'], []);
    const other = await ok(['job', 'add', 'later', join(folder, 'not-yet'), ...agent]);
    assert.match(String(other.message('job_added')['warnings']), /not-yet does not exist now/);
    const { messages } = await ok(['job', 'list', ...agent]);
    assert.deepEqual(
      messages.map(({ name }) => name),
      ['docs', 'later'],
    );
    await ok(['job', 'remove', 'later', ...agent]);
    assert.match(await readFile(join(folder, 'agent', 'jobs.yaml'), 'utf8'), /^# The backup control table/);
  });

  it('with the center down a backup waits in the spool, exit code 4 says so, and it restores from there', async () => {
    await centerDaemon.stop();
    agentDaemon = await running(ends, ['agent', 'run', ...agent]);
    const run = await lowtide(['job', 'run', 'docs', '--wait', '1s', '--json', ...agent]);
    assert.equal(run.exit, 4, run.stdout);
    assert.equal(run.message('exit_error').code, 'not-collected');
    assert.match(run.message('exit_error').message, /waiting for the connection to tokyo/);
    const status = await ok(['status', ...agent]);
    assert.equal(status.message('upstream').connected, false);
    assert.equal(status.message('job').protection.level, 'none');
    assert.equal(status.message('spooled').id, run.message('summary').snapshot);
    await compareRestored('spooled', ['spool']);
  });

  it('when the center is back the backup is collected, receipted and freed', async () => {
    centerDaemon = await running(ends, ['center', 'run', '--data', center.data]);
    await ok(['status', ...agent]);
    await agentDaemon.event('receipted');
    await agentDaemon.event('freed');
    const status = await ok(['status', ...agent]);
    assert.equal(status.message('job').protection.level, 'protected');
    assert.equal(status.message('agent').spool.bytes, 0);
    assert.match((await lowtide(['status', ...agent])).stdout, /docs +protected as of 2.* at tokyo$/m);
    const here = await ok(['center', 'status', '--data', center.data]);
    assert.equal(here.message('job').standing, 'here');
    assert.ok(here.message('center').stored_bytes > 0);
    const told = await lowtide(['center', 'status', '--all', '--data', center.data]);
    assert.match(told.stdout, /^1 computer, 1 job\n  ann docs  the newest is of 2.*; connected$/m);
    const { messages } = await ok(['center', 'plan', '--data', center.data]);
    // Where the backup waited a moment for its order, how well that was foreseen is told, too.
    const planned = messages.filter(({ message_type }) => message_type !== 'forecast_errors');
    assert.deepEqual(
      planned.map(({ message_type }) => message_type),
      ['conditions'],
    );
  });

  it("the center's ledger has address, files, taken, arrived and history (SEED fig. 6)", async () => {
    const row = (await ok(['center', 'ledger', '--data', center.data])).message('snapshot');
    assert.equal(row['client_name'], 'ann');
    assert.equal(row['address'], '127.0.0.1');
    assert.deepEqual(row['via'], []);
    assert.equal(row['paths'], files);
    assert.ok(Number(row['arrived_at']) >= Number(row['taken_at']));
    const steps = row.history.map(({ what }) => what);
    assert.deepEqual(steps, ['offered', 'ordered', 'arrived', 'receipted']);
    assert.equal(
      (await ok(['center', 'snapshots', '--data', center.data])).message('snapshot').phase,
      'safe',
    );
  });

  it('a second backup sends only what changed, and everything restores from the center', async () => {
    await appendFile(join(files, 'a.txt'), 'more\n');
    await writeFile(join(files, 'sub', 'skip.tmp'), 'excluded');
    const run = await ok(['job', 'run', 'docs', '--wait', ...agent]);
    assert.ok(run.message('summary').stored_bytes < 20_000);
    assert.ok(run.messages.some(({ message_type }) => message_type === 'collected'));
    await compareRestored('collected', ['spool', 'center tokyo'], new Set([join(files, 'sub', 'skip.tmp')]));
    const { messages } = await ok(['snapshots', ...agent]);
    assert.deepEqual(
      messages.map(({ where }) => where),
      [['tokyo'], ['tokyo']],
    );
    // What that cost is known to the next restore.
    const ledger = new DatabaseSync(join(folder, 'agent', 'ledger.db'), { readOnly: true });
    const fact = ledger.prepare("SELECT value FROM facts WHERE name = 'source/center tokyo'").get();
    ledger.close();
    assert.ok(JSON.parse(String(fact?.['value'])).bytesPerSecond > 0);
    assert.equal((await ok(['find', 'skip', ...agent])).messages.length, 0);
    assert.equal((await ok(['ls', 'latest', files, ...agent])).messages.length, 5);
  });

  it('keys are added beside the running agent, and the sheet opens what the center stores', async () => {
    const sheet = (await ok(['key', 'add', 'recovery', '--label', 'safe', ...agent])).message(
      'recovery_sheet',
    ).text;
    const { messages } = await ok(['key', 'list', ...agent]);
    assert.deepEqual(
      messages.map(({ kind }) => kind),
      ['device', 'recovery', 'recovery'],
    );
    await ok(['job', 'run', 'docs', '--wait', ...agent]);
    const store = ['--depot', join(center.data, 'store'), '--recovery-sheet', '-'];
    const bare = { env: { LOWTIDE_PASSWORD: '' }, input: sheet };
    assert.equal((await ok(['snapshots', ...store], bare)).messages.length, 3);
    const to = join(folder, 'rescued');
    await ok(['restore', 'latest', join(files, 'a.txt'), '--to', to, ...store], bare);
    assert.equal(await readFile(join(to, files, 'a.txt'), 'utf8'), 'alpha\nmore\n');
  });

  it('a private job shows the center neither its paths nor its name', async () => {
    await ok(['job', 'add', 'diary', files, '--backup', 'manual', '--private', ...agent]);
    const run = await ok(['job', 'run', 'diary', '--wait', '20s', ...agent]);
    assert.equal(run.message('summary').job, 'diary');
    const { messages } = await ok(['center', 'snapshots', '--data', center.data]);
    const row = messages.find(({ id }) => id === run.message('summary').snapshot);
    assert.equal(row?.['paths'], null);
    assert.match(row?.job ?? '', /^private-[0-9a-f]+$/);
    assert.equal((await ok(['snapshots', '--job', 'diary', ...agent])).messages.length, 1);
    await ok(['job', 'remove', 'diary', ...agent]);
  });

  it('verification passes on both sides', async () => {
    assert.equal(
      (await ok(['verify', '--read-data', '--depot', join(center.data, 'store')])).message('summary').errors,
      0,
    );
    assert.equal((await ok(['verify', '--read-data', ...agent])).message('summary').errors, 0);
  });

  it('an owner can give up a spooled backup by name, after which the next one takes everything', async () => {
    await centerDaemon.stop();
    const { snapshot } = (await ok(['job', 'run', 'docs', ...agent])).message('summary');
    const unsure = await lowtide(['spool', 'discard', snapshot.slice(0, 12), ...agent]);
    assert.match(unsure.stderr, /say --yes/);
    const { message } = await ok(['spool', 'discard', snapshot.slice(0, 12), '--yes', ...agent]);
    assert.deepEqual(message('discarded')['snapshots'], [snapshot]);
    assert.equal((await ok(['spool', 'list', ...agent])).messages.length, 0);
    const next = (await ok(['job', 'run', 'docs', ...agent])).message('summary');
    assert.ok(next.stored_bytes > 1_500_000);
  });

  it('without a daemon a command does the work itself, waiting included', async () => {
    assert.equal(await agentDaemon.stop(), 0);
    centerDaemon = await running(ends, ['center', 'run', '--data', center.data]);
    const run = await ok(['job', 'run', 'docs', '--wait', '20s', ...agent]);
    assert.ok(run.messages.some(({ message_type }) => message_type === 'collected'));
    assert.equal((await ok(['status', ...agent])).message('job').protection.level, 'protected');
  });

  it('a computer that was shut out is told so', async () => {
    await ok(['center', 'client', 'revoke', 'ann', '--data', center.data]);
    const refused = await lowtide(['job', 'run', 'docs', '--wait', '3s', '--json', ...agent]);
    assert.equal(refused.exit, 4);
    assert.match(refused.message('exit_error').message, /shut|revoked|let in/);
  });

  it('one that was shut out by mistake is let in again, and goes on', async () => {
    const { message } = await ok(['center', 'client', 'let-in', 'ann', '--data', center.data]);
    assert.equal(message('let_in')['before'], true);
    const changes = (await ok(['center', 'conditions', '--data', center.data])).messages;
    assert.deepEqual(
      changes.filter(({ key }) => key === 'standing of ann').map(({ after }) => after),
      ['let in', 'shut out'],
    );
    const run = await ok(['job', 'run', 'docs', '--wait', '20s', ...agent]);
    assert.ok(run.messages.some(({ message_type }) => message_type === 'collected'));
    assert.equal(await centerDaemon.stop(), 0);
  });

  async function compareRestored(name: string, sources: string[], skip = new Set<string>()): Promise<void> {
    const to = join(folder, name);
    const { message } = await ok(['restore', 'latest', '--to', to, ...agent]);
    const used = message('summary').by_source.filter(({ bytes }) => bytes > 0);
    assert.deepEqual(
      used.map(({ name }) => name),
      sources,
    );
    const { signal } = new AbortController();
    const options = { since: Date.now() + 60_000, skip, owners: true, stop: signal };
    const compared = await compareFolders(files, join(to, files), options);
    assert.deepEqual(compared.differences, []);
    assert.equal(compared.files, 5);
  }
});
