import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, cp, mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { endsOfSuite, fails, lowtide, ok, scratch, sheetFor, smallTree } from './kit.ts';

describe('bad input to a depot alone', { concurrency: 3 }, () => {
  const ends = endsOfSuite();
  let folder: string;
  let files: string;
  let good: string;
  /** Opens it without what a password costs. */
  let sheet: string;
  let copies = 0;
  before(async () => {
    folder = await scratch(ends);
    files = await smallTree(folder);
    good = join(folder, 'good');
    await ok(['init', good]);
    await ok(['backup', files, '--depot', good]);
    sheet = await sheetFor(['--depot', good], join(folder, 'sheet'));
  });

  /** A depot of a test's own, so that tests may run side by side. */
  async function copy() {
    const number = ++copies;
    const path = join(folder, `copy${number}`);
    await cp(good, path, { recursive: true });
    const byPassword = ['--depot', path];
    const depot = [...byPassword, '--recovery-sheet', sheet];
    return { path, byPassword, depot, to: ['--to', join(folder, `to${number}`)], target: `to${number}` };
  }

  it('a wrong password opens nothing and changes nothing', async () => {
    const { byPassword, to } = await copy();
    const env = { LOWTIDE_PASSWORD: 'wrong' };
    await fails('wrong-password', /the password is wrong/, ['backup', files, ...byPassword], { env });
    await fails('wrong-password', /the password is wrong/, ['restore', 'latest', ...to, ...byPassword], {
      env,
    });
    await fails('no-password', /LOWTIDE_PASSWORD_FILE/, ['snapshots', ...byPassword], {
      env: { LOWTIDE_PASSWORD: '' },
    });
    const file = { LOWTIDE_PASSWORD: '', LOWTIDE_PASSWORD_FILE: '/nonexistent/file' };
    await fails('no-password', /cannot be read/, ['snapshots', ...byPassword], { env: file });
    assert.equal((await ok(['snapshots', ...byPassword])).messages.length, 1);
  });

  it('a key of another depot, or a mistyped sheet, is told', async () => {
    const { byPassword } = await copy();
    const other = join(folder, 'other');
    await ok(['init', other]);
    const sheet = (await ok(['key', 'add', 'recovery', '--depot', other])).message('recovery_sheet').text;
    const asked = ['snapshots', '--recovery-sheet', '-', ...byPassword];
    await fails('wrong-key', /does not open the keyring/, asked, { input: sheet });
    const mistyped = sheet.replace(
      /(K2 {2})(.)/,
      (_all, line: string, first: string) => line + (first === 'A' ? 'B' : 'A'),
    );
    await fails('bad-recovery-sheet', /line K2 of the recovery sheet is mistyped/, asked, {
      input: mistyped,
    });
    await fails('wrong-key', /64 hex digits/, ['key', 'add', 'organisation', 'xyz', ...byPassword]);
  });

  it('what is no depot, not there, or not empty is told apart', async () => {
    const { path } = await copy();
    await fails('not-a-depot', /make one with lowtide init/, ['snapshots', '--depot', files]);
    await fails('not-a-depot', /no depot at .*nowhere/, [
      'backup',
      files,
      '--depot',
      join(folder, 'nowhere'),
    ]);
    await fails('depot-exists', /is not empty/, ['init', files]);
    await fails('depot-exists', /there is a depot at/, ['init', path], { env: { LOWTIDE_PASSWORD: '' } });
    await fails('bad-request', /--depot/, ['backup', files]);
    await fails('not-a-node', /name a depot with --depot/, ['snapshots'], {
      env: { LOWTIDE_DATA: join(folder, 'none') },
    });
    assert.deepEqual((await readdir(files)).length, 5);
  });

  it('a depot of a newer format is left alone', async () => {
    const { path, depot } = await copy();
    const config = JSON.parse(await readFile(join(path, 'config'), 'utf8')) as Record<string, unknown>;
    const check = createHash('sha256').update(
      `depot 2 ${String(config['id'])} ${String(config['createdAt'])}`,
    );
    const newer = JSON.stringify({ ...config, format: 2, check: check.digest('hex') });
    for (const name of ['config', 'config.spare']) await writeFile(join(path, name), newer);
    await fails('newer-format', /update Lowtide/, ['backup', files, ...depot]);
    await fails('newer-format', /update Lowtide/, ['snapshots', ...depot]);
  });

  it('a damaged pack costs the files that need it, which are named; the rest is restored, exit code 3', async () => {
    const { path, depot, to } = await copy();
    await flip(join(path, 'packs', await packOf(path, 'data')), 700_000);
    const ran = await lowtide(['restore', 'latest', ...to, ...depot, '--json']);
    assert.equal(ran.exit, 3);
    const problems = ran.messages.filter(({ message_type }) => message_type === 'problem');
    assert.deepEqual(
      problems.map(({ path }) => path),
      [join(files, 'big.bin')],
    );
    assert.equal(ran.message('summary').files, 4);
    const found = await fails('verify-failed', /faults? found/, ['verify', '--read-data', ...depot]);
    assert.match(found.stdout, /^error: packs\/.*harms/m);
  });

  it('a lost page of the tree and a damaged manifest are told, and nothing is guessed', async () => {
    const { path, depot, to, target } = await copy();
    const [manifest = ''] = await readdir(join(path, 'manifests'));
    await flip(join(path, 'manifests', manifest), 200);
    const listed = await lowtide(['snapshots', ...depot]);
    assert.equal(listed.exit, 0);
    assert.match(listed.stderr, /^error: snapshot [0-9a-f]{12}: .*\(damaged-manifest\)$/m);
    await fails('no-such-snapshot', /no snapshot/, ['restore', 'latest', ...to, ...depot]);
    await fails('verify-failed', /fault/, ['verify', ...depot]);
    await rm(join(path, 'packs', await packOf(path, 'meta')));
    await copyFile(join(good, 'manifests', manifest), join(path, 'manifests', manifest));
    await fails('block-unavailable', /cannot be had|lacks/, ['ls', 'latest', ...depot]);
    assert.deepEqual(await readdir(folder).then((names) => names.filter((name) => name === target)), []);
  });

  it('snapshots, paths and patterns that are not there are told', async () => {
    const { depot, to } = await copy();
    await fails('no-such-snapshot', /there is no snapshot ffff/, ['ls', 'ffff', ...depot]);
    await fails('no-such-path', /the snapshot has no \/nope/, [
      'restore',
      'latest',
      '/nope',
      ...to,
      ...depot,
    ]);
    await fails('no-such-path', /\/nope/, ['ls', 'latest', '/nope', ...depot]);
    await fails('bad-request', /empty pattern/, ['find', '', ...depot]);
    await fails('not-found', /there is no key 12/, ['key', 'remove', '12', ...depot]);
    await fails('not-found', /there is no file/, ['debug', 'dump', 'latest', ...depot]);
    const [password, sheetKey] = (await ok(['key', 'list', ...depot])).messages;
    await ok(['key', 'remove', password!.id, ...depot]);
    await fails('wrong-state', /last key slot/, ['key', 'remove', sheetKey!.id, ...depot]);
  });

  it('sources that are missing or suddenly empty make no snapshot', async () => {
    const { depot } = await copy();
    await fails('source-missing', /does not exist: nothing was backed up/, [
      'backup',
      join(folder, 'gone'),
      ...depot,
    ]);
    await fails('source-missing', /does not exist/, ['backup', files, join(folder, 'gone'), ...depot]);
    await fails('bad-name', /cannot be a job's name/, ['backup', files, '--name', 'Not Good', ...depot]);
    await mkdir(join(folder, 'mount'), { recursive: true });
    await writeFile(join(folder, 'mount', 'file'), '1');
    await ok(['backup', join(folder, 'mount'), ...depot]);
    await rm(join(folder, 'mount', 'file'));
    await fails('source-empty', /empty/, ['backup', join(folder, 'mount'), ...depot]);
  });

  it('wrong usage is one line and a hint, exit code 1', async () => {
    const { depot } = await copy();
    const cases: [args: string[], line: RegExp, hint: string][] = [
      [['bakcup'], /unknown command 'bakcup' \(Did you mean backup\?\)/, "See 'lowtide --help'."],
      [['backup', '--nope', 'x'], /unknown option '--nope'/, "See 'lowtide backup --help'."],
      [['restore', 'latest', ...depot], /required option '--to <DIR>'/, "See 'lowtide restore --help'."],
      [
        ['restore', 'latest', '--to', 'x', '--overwrite', 'maybe'],
        /Allowed choices are always, never/,
        "See 'lowtide restore --help'.",
      ],
      [['center', 'client', 'nope'], /unknown command 'nope'/, "See 'lowtide center client --help'."],
      [['init'], /missing required argument 'DEPOT'/, "See 'lowtide init --help'."],
    ];
    const check = async ([args, line, hint]: (typeof cases)[number]): Promise<void> => {
      const code = /unknown/.test(line.source) ? 'unknown-option' : 'bad-request';
      const ran = await fails(code, line, args);
      assert.equal(ran.stderr.split('\n').at(1), hint);
      assert.equal(ran.stdout, '');
    };
    await Promise.all(cases.map(check));
    const { message, exit } = await lowtide(['backup', '--json']);
    assert.equal(exit, 1);
    assert.equal(message('exit_error').code, 'bad-request');
  });

  async function packOf(path: string, group: string): Promise<string> {
    const [name = ''] = (await readdir(join(path, 'packs'))).filter((pack) => pack.startsWith(group));
    return name;
  }
});

/** Changes one byte; of a file that is shorter than `at`, the middle one. */
async function flip(path: string, at: number): Promise<void> {
  await using file = await open(path, 'r+');
  const { size } = await file.stat();
  const position = at < size ? at : Math.floor(size / 2);
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, position);
  await file.write(Buffer.of(buffer[0]! ^ 1), 0, 1, position);
}
