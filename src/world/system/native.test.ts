import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { deviceNumber, deviceNumberParts, nativeLoader, nativeOrNull } from './native.ts';

test('device numbers are taken apart and put together as the kernel does', () => {
  const { rdev } = lstatSync('/dev/null', { bigint: true });
  assert.deepEqual(deviceNumberParts(rdev), { major: 1, minor: 3 });
  assert.equal(deviceNumber(1, 3), rdev);
  const number = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(
    fc.property(number, number, (major, minor) => {
      assert.deepEqual(deviceNumberParts(deviceNumber(major, minor)), { major, minor });
    }),
  );
});

test('errors of libc look like those of node', async () => {
  const native = nativeLoader()();
  assert.throws(() => native.setModified(Buffer.from('/no/such\u00ff'), 0n, 'keep'), { code: 'ENOENT' });
  assert.throws(() => native.seekData(987_654, 0), { code: 'EBADF' });
  assert.throws(() => native.tryLock(987_654), { code: 'EBADF' });
  await assert.rejects(native.syncFileSystem(987_654), { code: 'EBADF' });
});

test('who can do without libc gets null where there is none', () => {
  const missing = nativeOrNull(() => {
    throw new Error('no such library');
  });
  assert.equal(missing, null);
});

test('a rename that must not replace does not, and any other does', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lowtide-native-'));
  const [from, to] = [Buffer.from(`${directory}/from`), Buffer.from(`${directory}/to`)];
  writeFileSync(from, 'from');
  writeFileSync(to, 'to');
  const native = nativeLoader()();
  assert.throws(() => native.renameNoReplace(from, to), { code: 'EEXIST' });
  assert.equal(readFileSync(to, 'utf8'), 'to');
  rmSync(to);
  assert.equal(native.renameNoReplace(from, to), true);
  assert.equal(readFileSync(to, 'utf8'), 'from');
  rmSync(directory, { recursive: true });
});
