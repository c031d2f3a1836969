import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type * as Koffi from 'koffi';
import { isLowtideError } from '../../model/errors.ts';
import { displayPath, pathKeyOf } from '../../model/paths.ts';
import { realFiles } from './files.ts';
import { listIn } from './listings.ts';
import { realWork } from '../threads/work.ts';
import { Mounts, mountsIn } from './mounts.ts';

test('mounts are read with their types, escapes and all, and the last at a place counts', () => {
  const text = [
    '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
    '23 22 0:21 / /proc rw - proc proc rw',
    String.raw`24 22 0:30 / /mnt/my\040disk\134\012 rw shared:2 master:3 - fuse.sshfs ann@host:/ rw`,
    '25 22 0:31 / /data rw - autofs systemd-1 rw',
    '26 22 0:32 / /data rw - nfs4 host:/data rw',
    'nonsense',
    '',
  ].join('\n');
  assert.deepEqual(
    mountsIn(text).map(({ path, type }) => [displayPath(path), type]),
    [
      ['/', 'ext4'],
      ['/proc', 'proc'],
      ['/mnt/my disk\\x5c\\x0a', 'fuse.sshfs'],
      ['/data', 'nfs4'],
    ],
  );
});

test('the kernel’s own file systems are told as such, where they are mounted and below', async () => {
  const files = realFiles();
  const { entries } = await files.scan(pathKeyOf('/'));
  assert.equal(entries.find(({ name }) => (name as string) === 'proc')?.virtual, 'proc');
  assert.equal(entries.find(({ name }) => (name as string) === 'etc')?.virtual, undefined);
  assert.equal((await files.lstat(pathKeyOf('/proc/sys/kernel')))?.virtual, 'proc');
  assert.equal((await files.lstat(pathKeyOf('/etc')))?.virtual, undefined);
});

/** Mounts a FUSE file system whose server never answers. Null where that cannot be done. */
function mountHanging(folder: string): (() => void) | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    const libc = koffi.load(null);
    const mount = libc.func(
      'int mount(const char *from, const char *to, const char *type, uint64_t flags, const char *how)',
    );
    const umount = libc.func('int umount2(const char *at, int flags)');
    const server = openSync('/dev/fuse', 'r+');
    const how = `fd=${server},rootmode=40000,user_id=0,group_id=0`;
    if (mount('nobody', folder, 'fuse', 0n, how) !== 0) {
      closeSync(server);
      return null;
    }
    return () => {
      // Whoever waits for an answer gets an error now.
      closeSync(server);
      umount(folder, 2);
    };
  } catch {
    return null;
  }
}

test('a FUSE mount whose server hangs is a problem after a time, and the rest is told', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'lowtide-hanging-'));
  const mounted = join(folder, 'mounted');
  mkdirSync(mounted);
  writeFileSync(join(folder, 'after'), 'x');
  const unmount = mountHanging(mounted);
  t.after(() => {
    unmount?.();
    rmSync(folder, { recursive: true });
  });
  if (unmount === null) return t.skip('no FUSE file system can be mounted here');
  const files = realFiles(undefined, undefined, 300);
  const { entries, problems } = await files.scan(pathKeyOf(folder));
  assert.deepEqual(
    entries.map(({ name }) => name as string),
    ['after'],
  );
  assert.deepEqual(
    problems.map(({ name, code }) => [name, code]),
    [['mounted', 'source-unreadable']],
  );
  assert.match(problems[0]!.message, /\(fuse\) has not answered for 0.3 s: it is left out/);
  const unanswered = (error: unknown): boolean => isLowtideError(error, 'source-unreadable');
  await assert.rejects(files.lstat(pathKeyOf(join(mounted, 'deep/er'))), unanswered);
  await assert.rejects(files.scan(pathKeyOf(mounted)), unanswered);
});

test('a thread that hangs in a mount is left alone after a time, and others do the work', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'lowtide-hanging-'));
  const mounted = join(folder, 'mounted');
  mkdirSync(mounted);
  writeFileSync(join(folder, 'after'), 'x');
  const unmount = mountHanging(mounted);
  const work = realWork(1);
  t.after(async () => {
    unmount?.();
    await work.close();
    rmSync(folder, { recursive: true });
  });
  if (unmount === null) return t.skip('no FUSE file system can be mounted here');
  const mounts = new Mounts(300);
  const hanging = pathKeyOf(join(mounted, 'deep'));
  const unanswered = (error: unknown): boolean => isLowtideError(error, 'source-unreadable');
  const [beside] = await Promise.all([
    listIn(work, [pathKeyOf('/etc')]),
    assert.rejects(
      mounts.guard([hanging], (stop) => listIn(work, [hanging], stop)),
      unanswered,
    ),
  ]);
  assert.ok('first' in beside[0]!);
  assert.ok('first' in (await listIn(work, [pathKeyOf('/etc')]))[0]!);
});
