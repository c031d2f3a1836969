import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import { isLowtideError } from '../../model/errors.ts';
import { afterBytes, RealWritableFile } from './disk-files.ts';
import { realDisk } from './disk.ts';
import { nativeLoader } from '../system/native.ts';

let directory = '';
before(async () => (directory = await mkdtemp(join(tmpdir(), 'lowtide-disk-'))));
after(() => rm(directory, { recursive: true }));

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

test('what a node keeps is its owner’s only', async () => {
  const disk = realDisk();
  await disk.makeDirectory(`${directory}/a/b`);
  await (await disk.create(`${directory}/a/file`)).close();
  await (await disk.lock(`${directory}/a/lock`))?.release();
  assert.equal(await modeOf(`${directory}/a`), 0o700);
  assert.equal(await modeOf(`${directory}/a/b`), 0o700);
  assert.equal(await modeOf(`${directory}/a/file`), 0o600);
  assert.equal(await modeOf(`${directory}/a/lock`), 0o600);
});

test('a full disk is told, and a file whose write failed is never written or synced again (P1)', async () => {
  const file = await realDisk().openAppend('/dev/full');
  await assert.rejects(file.write(Buffer.from('x')), (error) => {
    assert.ok(isLowtideError(error, 'disk-full'));
    return error.message.includes('/dev/full');
  });
  for (const call of [() => file.write(Buffer.from('x')), () => file.sync(), () => file.truncate(0)]) {
    await assert.rejects(
      call(),
      (error) => isLowtideError(error, 'disk-failed') && /given up/.test(error.message),
    );
  }
  await file.close();
});

test('a file whose sync failed is never written or synced again (P1)', async () => {
  const file = await realDisk().openAppend('/dev/zero');
  await assert.rejects(
    file.sync(),
    (error) => isLowtideError(error, 'disk-failed') && /EINVAL/.test(error.message),
  );
  await assert.rejects(file.sync(), /given up/);
  await assert.rejects(file.write(Buffer.from('x')), /given up/);
  await file.close();
});

test('after a short write exactly the rest is written', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 9 }), { maxLength: 6 }),
      fc.nat(60),
      (pieces, n) => {
        const all = Buffer.concat(pieces);
        const written = Math.min(n, all.length);
        const rest = afterBytes(pieces, written);
        assert.deepEqual(Buffer.concat(rest), all.subarray(written));
        assert.ok(rest.every((piece) => piece.length > 0));
      },
    ),
  );
});

test('what a file system does not take past its cache goes through it', async () => {
  const path = `${directory}/refusing`;
  const handle = await open(path, 'w');
  const asked: number[] = [];
  const direct = {
    write: async (pieces: readonly Uint8Array[], position: number) => {
      asked.push(position);
      const taken = Buffer.concat(pieces).subarray(0, 4096 * asked.length);
      await handle.write(taken, 0, taken.length, position);
      return taken.length;
    },
    close: async () => {},
  };
  const file = new RealWritableFile(path, handle, 0, direct);
  const parts = [Buffer.alloc(300_001, 'one '), Buffer.alloc(300_002, 'two '), Buffer.alloc(10, 'small ')];
  for (const part of parts) await file.write(part);
  await file.close();
  assert.deepEqual(asked, [0, 303_104]);
  assert.ok((await readFile(path)).equals(Buffer.concat(parts)));
});

const HOLDER = `
  const { realDisk } = await import(process.argv[1]);
  console.log((await realDisk().lock(process.argv[2])) === null ? 'refused' : 'locked');
  setInterval(() => {}, 1000);
`;

test('a lock keeps other processes out and dies with its process', async () => {
  const path = `${directory}/lock`;
  const module = new URL('./disk.ts', import.meta.url).href;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, module, path]);
  const [said] = (await once(holder.stdout, 'data')) as [Buffer];
  assert.equal(said.toString().trim(), 'locked');
  assert.equal(await realDisk().lock(path), null);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  const lock = await realDisk().lock(path);
  assert.notEqual(lock, null);
  await lock?.release();
});

test('where libc cannot be loaded only the lock fails, and says why', async () => {
  const disk = realDisk(() => {
    throw new Error('no such library');
  });
  await (await disk.create(`${directory}/plain`)).close();
  await assert.rejects(disk.lock(`${directory}/plain`), /cannot lock .*no such library/);
});

test('libc is loaded once', () => {
  const native = nativeLoader();
  assert.equal(native(), native());
});
