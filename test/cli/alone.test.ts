import assert from 'node:assert/strict';
import { appendFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { compareFolders } from '../../src/cli/demo/compare-folders.ts';
import { endsOfSuite, lowtide, ok, scratch, sheetFor, smallTree } from './kit.ts';

describe('one computer and a disk', () => {
  let folder: string;
  let files: string;
  let byPassword: string[];
  /** With a recovery sheet: what a password costs is paid where passwords are tested. */
  let depot: string[];
  const ends = endsOfSuite();
  before(async () => {
    folder = await scratch(ends);
    files = await smallTree(folder);
    byPassword = ['--depot', join(folder, 'depot')];
    await ok(['init', join(folder, 'depot')]);
    depot = [...byPassword, '--recovery-sheet', await sheetFor(byPassword, join(folder, 'sheet'))];
  });
  const ids: string[] = [];

  it('backs up, and a second time only what changed', async () => {
    const first = (await ok(['backup', files, ...depot])).message('summary');
    assert.equal(first.files, 5);
    assert.equal(first.job, 'files');
    assert.equal(first.problems, 0);
    assert.ok(first.stored_bytes > 1_500_000);
    await appendFile(join(files, 'a.txt'), 'more\n');
    await rm(join(files, 'sub', 'deep', 'same.txt'));
    await writeFile(join(files, 'new.txt'), 'new\n');
    const second = (await ok(['backup', files, ...depot])).message('summary');
    assert.equal(second.sequence, 2);
    assert.equal(second['previous'], first.snapshot);
    assert.equal(second.job, 'files');
    assert.equal(typeof second.unchanged, 'number');
    assert.ok(second.stored_bytes < 10_000, String(second.stored_bytes));
    ids.push(first.snapshot, second.snapshot);
  });

  it('lists snapshots newest first, for people with the zone named', async () => {
    const { messages } = await ok(['snapshots', ...depot]);
    assert.deepEqual(
      messages.map(({ id }) => id),
      ids.toReversed(),
    );
    assert.deepEqual(Object.keys(messages[0]!).sort(), [
      'bytes',
      'client',
      'complete',
      'copies',
      'files',
      'id',
      'instance',
      'job',
      'lost_with',
      'message_type',
      'problems',
      'roots',
      'sequence',
      'taken_at',
      'where',
    ]);
    const { stdout } = await lowtide(['snapshots', ...depot]);
    const [heading, row] = stdout.split('\n');
    assert.match(heading!, /^Snapshot +Taken \(UTC\) +Job +Files +Size +Where +Paths$/);
    assert.match(row!, new RegExp(`^${ids[1]!.slice(0, 12)}  2.* files  +5  .* MiB  depot  ${files}$`));
  });

  it('lists files: a folder, one entry, everything', async () => {
    const top = await lowtide(['ls', 'latest', ...depot]);
    assert.deepEqual(top.stdout.split('\n').filter(Boolean), [
      `${files}/a.txt`,
      `${files}/big.bin`,
      `${files}/link -> a.txt`,
      `${files}/new.txt`,
      `${files}/odd-\\xff`,
      `${files}/sub/`,
    ]);
    const { messages } = await ok(['ls', ids[0]!.slice(0, 8), join(files, 'sub'), '-R', ...depot]);
    assert.deepEqual(
      messages.map(({ path }) => path.slice(files.length)),
      ['/sub', '/sub/b.txt', '/sub/deep', '/sub/deep/same.txt'],
    );
    const [file] = (await ok(['ls', 'latest', join(files, 'sub', 'b.txt'), ...depot])).messages;
    assert.equal(file!.type, 'file');
    assert.equal(file!.size_bytes, 500_000);
    assert.equal(
      file!['mtime_ns'],
      String((await stat(join(files, 'sub', 'b.txt'), { bigint: true })).mtimeNs),
    );
    const long = await lowtide(['ls', 'latest', files, '-l', ...depot]);
    assert.match(long.stdout, /^-rw-r--r-- \d+:\d+ +1500000 2\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d .*\/big\.bin$/m);
  });

  it('finds by name, in the newest snapshot and in all', async () => {
    const newest = await ok(['find', '*.txt', ...depot]);
    assert.deepEqual(
      newest.messages.map(({ path }) => path.split('/').at(-1)),
      ['a.txt', 'new.txt', 'b.txt'],
    );
    const all = await ok(['find', 'same.txt', '--all', ...depot]);
    assert.deepEqual(
      all.messages.map(({ snapshot }) => snapshot),
      [ids[0]],
    );
    assert.equal((await lowtide(['find', 'nothing-like-it', ...depot])).stdout, 'Nothing found.\n');
  });

  it('shows what changed between two snapshots', async () => {
    const { messages, message } = await ok(['diff', ids[0]!, 'latest', ...depot]);
    const changes = messages.filter(({ message_type }) => message_type === 'change');
    const named = new Map(changes.map(({ path, change }) => [path.slice(files.length), change]));
    assert.equal(named.get('/a.txt'), 'content');
    assert.equal(named.get('/new.txt'), 'added');
    assert.equal(named.get('/sub/deep/same.txt'), 'removed');
    assert.equal(named.has('/big.bin'), false);
    assert.equal(message('summary').added, 1);
    const part = await lowtide(['diff', ids[0]!, ids[1]!, join(files, 'sub'), ...depot]);
    assert.match(part.stdout, /^- .*same\.txt$/m);
    assert.doesNotMatch(part.stdout, /new\.txt/);
  });

  it('restores everything as it was, and a second time leaves it alone', async () => {
    const to = join(folder, 'restored');
    const { message } = await ok(['restore', 'latest', '--to', to, ...depot]);
    assert.equal(message('summary').files, 5);
    assert.deepEqual(
      message('summary').by_source.map(({ name }) => name),
      ['depot'],
    );
    const options = {
      since: Date.now() + 60_000,
      skip: new Set<string>(),
      owners: true,
      stop: new AbortController().signal,
    };
    const compared = await compareFolders(files, join(to, files), options);
    assert.deepEqual(compared.differences, []);
    assert.equal(compared.files, 5);
    await writeFile(join(to, files, 'a.txt'), 'mine');
    const again = await ok(['restore', 'latest', '--to', to, ...depot]);
    assert.equal(again.message('summary').files, 0);
    assert.equal(await readFile(join(to, files, 'a.txt'), 'utf8'), 'mine');
    await ok(['restore', 'latest', '--to', to, '--overwrite', 'always', ...depot]);
    assert.equal(await readFile(join(to, files, 'a.txt'), 'utf8'), 'alpha\nmore\n');
  });

  it('restores one file of an older snapshot by a prefix of its id', async () => {
    const to = join(folder, 'one');
    const wanted = join(files, 'sub', 'deep', 'same.txt');
    await ok(['restore', ids[0]!.slice(0, 10), wanted, '--to', to, ...depot]);
    assert.equal(await readFile(join(to, wanted), 'utf8'), 'alpha\n');
    assert.deepEqual(await readdir(join(to, files)), ['sub']);
  });

  it('verifies without a password', async () => {
    const env = { LOWTIDE_PASSWORD: '' };
    assert.equal((await ok(['verify', ...depot], { env })).message('summary').errors, 0);
    assert.equal((await ok(['verify', '--read-data', ...depot], { env })).message('summary').errors, 0);
  });

  it('has several keys: a second password, a recovery sheet, and takes one away', async () => {
    const added = await ok(['key', 'add', 'passphrase', '--label', 'Bob', ...byPassword], {
      env: { LOWTIDE_NEW_PASSWORD: 'second' },
    });
    const sheet = (await ok(['key', 'add', 'recovery', ...byPassword])).message('recovery_sheet').text;
    const { messages } = await ok(['key', 'list', ...byPassword]);
    assert.deepEqual(
      messages.map(({ kind, label }) => [kind, label]),
      [
        ['passphrase', 'password'],
        ['recovery', 'recovery sheet'],
        ['passphrase', 'Bob'],
        ['recovery', 'recovery sheet'],
      ],
    );
    await ok(['snapshots', ...byPassword], { env: { LOWTIDE_PASSWORD: 'second' } });
    const bare = { env: { LOWTIDE_PASSWORD: '' }, input: sheet };
    assert.equal((await ok(['snapshots', '--recovery-sheet', '-', ...byPassword], bare)).messages.length, 2);
    await ok(['key', 'remove', added.message('key_added').id, ...byPassword]);
    const refused = await lowtide(['snapshots', ...byPassword], { env: { LOWTIDE_PASSWORD: 'second' } });
    assert.match(refused.stderr, /wrong-password/);
  });

  it('describes what it stores, sealed or opened', async () => {
    const sealed = await ok(['debug', 'dump', ids[0]!.slice(0, 12), ...depot]);
    assert.equal(sealed.message('object').object.id, ids[0]);
    assert.match(sealed.message('object').object.sealed, /^[0-9a-f]+$/);
    const opened = await ok(['debug', 'dump', ids[0]!, '--open', ...depot]);
    assert.deepEqual(opened.message('object').object.sealed.roots, [files]);
    const file = await lowtide(['debug', 'dump', join(folder, 'depot', 'manifests', ids[1]!)]);
    assert.equal(JSON.parse(file.stdout).id, ids[1]);
  });

  it('leaves out what it is told to, and names jobs after their paths', async () => {
    const other = join(folder, 'My Things');
    await mkdir(join(other, 'cache'), { recursive: true });
    await writeFile(join(other, 'keep'), '1');
    await writeFile(join(other, 'drop.tmp'), '2');
    await writeFile(join(other, 'cache', 'CACHEDIR.TAG'), 'Signature: 8a477f597d28d172789f06886806bc55');
    await writeFile(join(other, 'cache', 'x'), '3');
    const patterns = join(folder, 'patterns');
    await writeFile(patterns, '# comment\n*.tmp\n');
    const { message } = await ok([
      'backup',
      other,
      '--exclude-file',
      patterns,
      '--exclude-caches',
      '--compression',
      'max',
      ...depot,
    ]);
    assert.equal(message('summary').job, 'my-things');
    const listed = await ok(['ls', 'latest', '-R', '--job', 'my-things', ...depot]);
    const names = listed.messages.map(({ path }) => path.slice(other.length));
    assert.ok(names.includes('/keep'));
    assert.ok(!names.includes('/drop.tmp') && !names.includes('/cache/x'), names.join());
    const named = await ok(['backup', other, '--name', 'weekly', ...depot]);
    assert.equal(named.message('summary').sequence, 1);
  });

  it('says only what was asked for when it is to be quiet', async () => {
    const { stdout, stderr } = await lowtide(['backup', files, '--quiet', ...depot]);
    assert.equal(stdout + stderr, '');
    assert.match((await lowtide(['snapshots', '-q', ...depot])).stdout, /^Snapshot/);
  });
});
