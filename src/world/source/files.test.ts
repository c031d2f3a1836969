import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { Entry } from '../../model/entries.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import { pathKeyOf, type PathKey } from '../../model/paths.ts';
import { realFiles } from './files.ts';
import { nativeLoader, type Native } from '../system/native.ts';
import { renameToFree } from '../target/file.ts';
import { TemporaryNames } from '../target/names.ts';

const directory = mkdtempSync(join(tmpdir(), 'lowtide-files-'));
// Anybody may look: some tests give root's rights up.
chmodSync(directory, 0o755);
after(() => rmSync(directory, { recursive: true }));

const key = (path: string): PathKey => path.replaceAll('/', '\0') as PathKey;
const NOBODY = 65_534;

/**
 * What `files` answers to a process that is not root. Null if this one is root and others may not read this checkout.
 */
async function asNobody(call: 'scan' | 'openSource', path: string): Promise<Record<string, unknown> | null> {
  const script = `
    const { realFiles } = await import(process.argv[1]).catch(() => process.exit(77));
    const { pathKeyOf } = await import(process.argv[2]);
    const answer = await realFiles()[process.argv[3]](pathKeyOf(process.argv[4])).catch(({ code, message }) => ({ code, message }));
    const show = (_key, value) => (typeof value === 'bigint' ? Number(value) : value);
    console.log(JSON.stringify({ ...answer, ...(answer.stat && { stat: await answer.stat() }) }, show));
  `;
  const modules = ['./files.ts', '../../model/paths.ts'].map((name) => new URL(name, import.meta.url).href);
  const options = process.geteuid?.() === 0 ? { uid: NOBODY, gid: NOBODY, cwd: '/' } : {};
  try {
    const words = ['--input-type=module', '-e', script, ...modules, call, path];
    const { stdout } = await promisify(execFile)(process.execPath, words, options);
    return JSON.parse(stdout) as Record<string, unknown>;
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === 77 || code === 'EACCES') return null;
    throw error;
  }
}

test('what cannot be looked at is a problem, and the rest of the directory is told', async (t) => {
  const closed = join(directory, 'closed');
  mkdirSync(closed);
  writeFileSync(join(closed, 'a\n'), 'x');
  chmodSync(closed, 0o444);
  const found = await asNobody('scan', closed);
  chmodSync(closed, 0o755);
  if (found === null) return t.skip('others may not read this checkout');
  const message = `${closed}/a\\x0a cannot be read: permission denied (EACCES)`;
  assert.deepEqual(found, {
    entries: [],
    problems: [{ name: 'a\n', code: 'source-unreadable', message }],
  });
});

test('what may not be read is named with the reason', async (t) => {
  const [secret, file] = [join(directory, 'secret'), join(directory, 'private')];
  mkdirSync(secret);
  writeFileSync(file, 'x');
  chmodSync(secret, 0);
  chmodSync(file, 0);
  const answers = [await asNobody('scan', secret), await asNobody('openSource', file)];
  chmodSync(secret, 0o700);
  if (answers.includes(null)) return t.skip('others may not read this checkout');
  assert.deepEqual(
    answers,
    [secret, file].map((path) => ({
      code: 'source-unreadable',
      message: `${path} cannot be read: permission denied (EACCES)`,
    })),
  );
});

test('a directory that may be passed and not listed does not hide what is in it', async (t) => {
  const passage = join(directory, 'passage');
  mkdirSync(passage);
  writeFileSync(join(passage, 'file'), 'found');
  chmodSync(join(passage, 'file'), 0o644);
  chmodSync(passage, 0o311);
  const found = await asNobody('openSource', join(passage, 'file'));
  chmodSync(passage, 0o755);
  if (found === null) return t.skip('others may not read this checkout');
  assert.equal((found['stat'] as { size?: number } | undefined)?.size, 5, JSON.stringify(found));
});

test('reading a file of one’s own leaves its access time alone', async () => {
  const path = join(directory, 'accessed');
  writeFileSync(path, 'x');
  const files = realFiles();
  const target = await files.openTarget(pathKeyOf(directory));
  // Older than a day: a file system that only updates such times would do it now.
  await target.applyMetadata(key('accessed'), entryOf({ mtime: 5n }));
  const before = lstatSync(path, { bigint: true }).atimeNs;
  const source = await files.openSource(pathKeyOf(path));
  await source.read(new Uint8Array(1), 0);
  await source.close();
  await target.close();
  assert.equal(lstatSync(path, { bigint: true }).atimeNs, before);
});

function entryOf(rest: Partial<Entry>): Entry {
  const { uid, gid } = lstatSync(directory);
  return {
    path: key(''),
    type: 'file',
    mode: 0o644,
    uid,
    gid,
    size: 0,
    mtime: 0n,
    ctime: 0n,
    inode: 0n,
    unsettled: false,
    partial: false,
    extents: [],
    ...rest,
  };
}

test('without libc files are backed up and restored, and what is lost is told', async () => {
  const without = realFiles(() => {
    throw new LowtideError('disk-failed', 'no such library');
  });
  const target = await without.openTarget(pathKeyOf(join(directory, 'without')));
  const file = await target.createFile(key('file'));
  await file.write(Buffer.from('hello'), 4096);
  await file.finish(8192, false, null);
  const again = await target.createFile(key('file'));
  await assert.rejects(again.finish(0, false, null), (error) => isLowtideError(error, 'target-exists'));
  await assert.rejects(target.fifo(key('fifo'), false), /no such library/);
  assert.deepEqual(
    await target.applyMetadata(key('file'), entryOf({ mtime: 1_700_000_000_000_000_000n })),
    [],
  );
  const [refused, ...others] = await target.applyMetadata(
    key('file'),
    entryOf({ mtime: 1_700_000_000_123_456_789n }),
  );
  assert.equal(refused?.what, 'times');
  assert.match(refused?.message ?? '', /instead of 1700000000123456789/);
  assert.deepEqual(others, []);
  await target.sync();
  await target.close();
  const source = await without.openSource(pathKeyOf(join(directory, 'without/file')));
  assert.deepEqual(await source.nextData(5), { start: 5, end: 8192 });
  await source.close();
});

const lacking = { renameNoReplace: () => false } as unknown as Native;

test('a name is never taken twice, also where the file system cannot refuse by itself', () => {
  const [from, to] = [Buffer.from(join(directory, 'from')), Buffer.from(join(directory, 'to'))];
  for (const native of [null, lacking]) {
    writeFileSync(from, 'new');
    writeFileSync(to, 'old');
    assert.throws(() => renameToFree(from, to, native), { code: 'EEXIST' });
    assert.equal(readFileSync(to, 'utf8'), 'old');
    rmSync(to);
    renameToFree(from, to, native);
    assert.equal(readFileSync(to, 'utf8'), 'new');
    assert.equal(lstatSync(from, { throwIfNoEntry: false }), undefined);
    rmSync(to);
  }
});

const SWAPPER = `
  const { workerData, parentPort } = require('node:worker_threads');
  const { renameSync, symlinkSync, unlinkSync } = require('node:fs');
  const inside = workerData + '/race/d', aside = workerData + '/race/aside';
  const end = Date.now() + 20_000;
  let stop = false;
  parentPort.on('message', () => { stop = true; });
  const round = () => {
    for (let at = 0; at < 50; at++) {
      renameSync(inside, aside);
      symlinkSync(workerData + '/outside', inside);
      unlinkSync(inside);
      renameSync(aside, inside);
    }
    if (stop || Date.now() > end) parentPort.close(); else setImmediate(round);
  };
  parentPort.postMessage('begun');
  round();
`;

test('somebody who swaps a directory for a link all the time leads nothing outside', async () => {
  for (const made of ['race', 'race/d', 'outside']) mkdirSync(join(directory, made));
  writeFileSync(join(directory, 'outside/secret'), 'secret');
  writeFileSync(join(directory, 'race/d/secret'), 'mine');
  const worker = new Worker(SWAPPER, { eval: true, workerData: directory, execArgv: [] });
  await new Promise((resolve) => worker.once('message', resolve));
  for (let at = 0; at < 400; at++) {
    await workIn('race', `file-${at % 10}`).catch((error: unknown) => {
      assert.ok(isLowtideError(error, 'target-exists', 'source-unreadable', 'not-found'), String(error));
    });
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  worker.postMessage('stop');
  await new Promise((resolve) => worker.once('exit', resolve));
  assert.deepEqual(readdirSync(join(directory, 'outside')), ['secret']);
  assert.notEqual(lstatSync(join(directory, 'outside/secret')).mode & 0o777, 0o640);
  await workIn('race', 'afterwards');
  assert.equal(lstatSync(join(directory, 'race/d/secret')).mode & 0o777, 0o640);
});

/** Reads d/secret, makes a file in d, and sets the mode of d/secret. */
async function workIn(root: string, name: string): Promise<void> {
  const files = realFiles();
  const target = await files.openTarget(pathKeyOf(join(directory, root)));
  try {
    const source = await files.openSource(pathKeyOf(join(directory, root, 'd/secret')));
    const into = Buffer.alloc(6);
    assert.equal(into.toString('latin1', 0, await source.read(into, 0)), 'mine');
    await source.close();
    await (await target.createFile(key(`d/${name}`))).finish(0, true, null);
    await target.applyMetadata(key('d/secret'), entryOf({ mode: 0o640 }));
  } finally {
    await target.close();
  }
}

test('nothing stays open after what fails', async () => {
  const path = join(directory, 'leaks');
  mkdirSync(join(path, 'd'), { recursive: true });
  writeFileSync(join(path, 'file'), 'x');
  symlinkSync('d', join(path, 'link'));
  const files = realFiles();
  const open = (): number => readdirSync('/proc/self/fd').length;
  await files.scan(pathKeyOf(path));
  const before = open();
  const target = await files.openTarget(pathKeyOf(path));
  for (const name of ['no', 'file', 'link', 'd', 'no/x', 'file/x', 'link/x', 'd/x', '..']) {
    const whole = `${pathKeyOf(path)}\0${key(name)}` as PathKey;
    const calls = [
      files.scan(whole),
      files.lstat(whole),
      files.openSource(whole).then((source) => source.close()),
      target.makeDirectory(key(name)),
      target.symlink(key(name), 'x', true),
      target.link(key(name), key('d/no'), true),
      target.link(key('other'), key(name), true),
      target.applyMetadata(key(name), entryOf({})),
      target.createFile(key(name)).then((file) => file.finish(1, false, null)),
      target.createFile(key(name)).then((file) => file.discard()),
    ];
    await Promise.allSettled(calls);
  }
  await target.close();
  assert.equal(open(), before);
});

test('a file has its metadata before it has its name, so that no kill leaves one that only looks whole', async () => {
  const root = join(directory, 'metadata-first');
  const seen: [number, bigint][] = [];
  const native = nativeLoader()();
  const watched: Native = {
    ...native,
    renameNoReplace: (from, to) => {
      const { mode, mtimeNs } = lstatSync(Buffer.from(from), { bigint: true });
      seen.push([Number(mode) & 0o7777, mtimeNs]);
      return native.renameNoReplace(from, to);
    },
  };
  const target = await realFiles(() => watched).openTarget(pathKeyOf(root));
  const file = await target.createFile(key('a'));
  await file.write(Buffer.from('x'), 0);
  await file.finish(1, false, { type: 'file', mode: 0o640, mtime: 123_456_789n, uid: null, gid: null });
  await target.close();
  assert.deepEqual(seen, [[0o640, 123_456_789n]]);
});

test('temporary files of processes that have ended are swept, and those of living ones are not', async () => {
  const root = join(directory, 'swept');
  mkdirSync(join(root, 'd'), { recursive: true });
  const ended = Number((await promisify(execFile)('sh', ['-c', 'echo $$'])).stdout);
  const names = new TemporaryNames();
  const elsewhere = '.lowtide-00000000000000010a0b0c0d.tmp';
  const day = 86_400_000;
  for (const where of [root, join(root, 'd')]) {
    for (const name of [names.next(ended), names.next(), elsewhere, 'kept'])
      writeFileSync(join(where, name), 'x');
    mkdirSync(join(where, names.next(ended)));
  }
  const target = await realFiles().openTarget(pathKeyOf(root));
  await target.makeDirectory(key('d'));
  await target.close();
  for (const where of [root, join(root, 'd')]) {
    const left = readdirSync(where, { withFileTypes: true }).filter((found) => found.isFile());
    assert.equal(left.length, 3, left.map(({ name }) => name).join(' '));
  }
  assert.equal(names.isAbandoned(elsewhere, 0, day - 1), false);
  assert.equal(names.isAbandoned(elsewhere, 0, day + 1), true);
  assert.equal(names.isAbandoned('.lowtide-notes.tmp', 0, day + 1), false);
});
