/**
 * What every Disk must do while nothing fails.
 *
 *   diskConformance(name, make)
 *
 * `make()` gives a Disk and the absolute path of a directory on it that exists and is empty; `dispose` is called after
 * the test. What a crash leaves, and what a failing device answers, the simulated disk tests for itself.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isLowtideError, type ErrorCode } from '../../src/model/errors.ts';
import type { Disk } from '../../src/world/ports.ts';

export interface DiskUnderTest {
  readonly disk: Disk;
  readonly directory: string;
  dispose?(): Promise<void>;
}

export type MakeDisk = () => Promise<DiskUnderTest>;

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const text = (data: Uint8Array): string => Buffer.from(data).toString('latin1');
const coded =
  (code: ErrorCode, path?: string) =>
  (error: unknown): boolean => {
    assert.ok(isLowtideError(error, code), String(error));
    if (path !== undefined) assert.ok(error.message.includes(path), error.message);
    return true;
  };

async function put(disk: Disk, path: string, content: string): Promise<void> {
  const file = await disk.create(path);
  await file.write(bytes(content));
  await file.sync();
  await file.close();
}

async function get(disk: Disk, path: string, again?: 'late'): Promise<string> {
  const file = await disk.openRead(path, again);
  const content = text(await file.read(0, await file.size()));
  await file.close();
  return content;
}

export function diskConformance(name: string, make: MakeDisk): void {
  const on = (what: string, run: (disk: Disk, directory: string) => Promise<void>): void => {
    test(what, async () => {
      const made = await make();
      try {
        await run(made.disk, made.directory);
      } finally {
        await made.dispose?.();
      }
    });
  };
  describe(`Disk: ${name}`, () => {
    writing(on);
    reading(on);
    names(on);
    directories(on);
    locks(on);
  });
}

type On = (what: string, run: (disk: Disk, directory: string) => Promise<void>) => void;

function writing(on: On): void {
  on('what is written is read', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'hello');
    assert.equal(await get(disk, `${directory}/a`), 'hello');
  });

  on('pieces are written one after another, empty ones too', async (disk, directory) => {
    const file = await disk.create(`${directory}/a`);
    await file.write(bytes('one'), bytes(''), bytes('two'));
    await file.write();
    assert.equal(file.position(), 6);
    await file.write(bytes('three'));
    assert.equal(file.position(), 11);
    await file.close();
    assert.equal(await get(disk, `${directory}/a`), 'onetwothree');
  });

  on('writes that overlap keep the order of their calls', async (disk, directory) => {
    const file = await disk.create(`${directory}/a`);
    const calls = Array.from({ length: 50 }, (_, at) => file.write(bytes(String.fromCharCode(48 + at))));
    await Promise.all(calls);
    await file.close();
    assert.equal(
      await get(disk, `${directory}/a`),
      Array.from({ length: 50 }, (_, at) => String.fromCharCode(48 + at)).join(''),
    );
  });

  on('many pieces at once, more than one system call takes', async (disk, directory) => {
    const file = await disk.create(`${directory}/a`);
    const pieces = Array.from({ length: 3000 }, (_, at) => bytes(`${at % 10}`.repeat(at % 7)));
    await file.write(...pieces);
    await file.close();
    assert.equal(await get(disk, `${directory}/a`), pieces.map(text).join(''));
  });

  on(
    'of a file that will be read late every byte is in its place, whatever was written at once',
    async (disk, directory) => {
      const file = await disk.create(`${directory}/a`, 'late');
      const parts = [1, 4095, 300_000, 4096, 2 ** 20, 5, 3 * 2 ** 20 + 1, 0, 262_143, 700_001].map(
        (length, at) => Buffer.alloc(length, `part ${at} `),
      );
      for (let at = 0; at < parts.length; at += 2) await file.write(parts[at]!, parts[at + 1]!);
      const whole = Buffer.concat(parts);
      assert.equal(file.position(), whole.length);
      await file.truncate(whole.length - 1000);
      await file.write(whole.subarray(-1000));
      await file.write(...parts);
      await file.sync();
      await file.close();
      assert.ok((await get(disk, `${directory}/a`)) === text(Buffer.concat([whole, whole])));
    },
  );

  on(
    'what lies in memory for writes is written whole, at whatever place of a page and beside whatever else',
    async (disk, directory) => {
      const file = await disk.create(`${directory}/a`, 'late');
      const lengths = [32, 300_000, 70_000, 5_000_000, 5, 4096, 66_000, 65_536, 1, 2_500_000];
      const whole: Uint8Array[] = [];
      for (const shift of [0, 1, 4064]) {
        const memory = disk.memoryForWrites(8_100_000);
        const pieces: Uint8Array[] = [];
        let at = file.position() % 4096;
        for (const [number, length] of lengths.entries()) {
          const piece = number % 4 === 0 ? new Uint8Array(length) : memory.subarray(at, at + length);
          piece.fill(number + shift + 1);
          pieces.push(piece);
          at += number === 6 ? length + shift : length;
        }
        await file.write(...pieces);
        whole.push(...pieces);
      }
      await file.sync();
      await file.close();
      assert.ok((await get(disk, `${directory}/a`)) === text(Buffer.concat(whole)));
    },
  );

  on('a file that exists is not made again', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'old');
    await assert.rejects(disk.create(`${directory}/a`), coded('disk-failed', `${directory}/a`));
    assert.equal(await get(disk, `${directory}/a`), 'old');
  });

  on('appending goes on at the end', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'hello');
    const file = await disk.openAppend(`${directory}/a`);
    assert.equal(file.position(), 5);
    await file.write(bytes(' world'));
    await file.sync();
    await file.close();
    assert.equal(await get(disk, `${directory}/a`), 'hello world');
  });

  on('a file can be cut, and writing goes on at the cut', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'hello');
    const file = await disk.openAppend(`${directory}/a`);
    await file.truncate(2);
    assert.equal(file.position(), 2);
    await file.write(bytes('ron'));
    await file.close();
    assert.equal(await get(disk, `${directory}/a`), 'heron');
  });

  on('a file can be lengthened with zeros', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'hi');
    const file = await disk.openAppend(`${directory}/a`);
    await file.truncate(4);
    await file.write(bytes('!'));
    await file.close();
    assert.equal(await get(disk, `${directory}/a`), 'hi\0\0!');
  });

  on('nothing opens for appending that does not exist', async (disk, directory) => {
    await assert.rejects(disk.openAppend(`${directory}/a`), coded('not-found', `${directory}/a`));
  });

  on('no file is made where there is no directory', async (disk, directory) => {
    await assert.rejects(disk.create(`${directory}/no/a`), coded('not-found', `${directory}/no/a`));
  });
}

function reading(on: On): void {
  on('ranges are read, fewer bytes only at the end', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'hello');
    const file = await disk.openRead(`${directory}/a`);
    assert.equal(await file.size(), 5);
    assert.equal(text(await file.read(1, 3)), 'ell');
    assert.equal(text(await file.read(3, 100)), 'lo');
    assert.equal(text(await file.read(5, 10)), '');
    assert.equal(text(await file.read(500, 10)), '');
    assert.equal(text(await file.read(0, 0)), '');
    await file.close();
  });

  on('an array that was read is the caller’s own', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'hello');
    const file = await disk.openRead(`${directory}/a`);
    const first = await file.read(0, 5);
    (await file.read(0, 5)).fill(0);
    first.fill(1, 4);
    assert.equal(text(first), 'hell\u0001');
    assert.equal(text(await file.read(0, 5)), 'hello');
    await file.close();
  });

  on('a reader sees what is appended after it opened', async (disk, directory) => {
    const writer = await disk.create(`${directory}/a`);
    const reader = await disk.openRead(`${directory}/a`);
    await writer.write(bytes('later'));
    assert.equal(await reader.size(), 5);
    assert.equal(text(await reader.read(0, 9)), 'later');
    await Promise.all([writer.close(), reader.close()]);
  });

  on('an open file stays readable when its name goes', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'kept');
    const reader = await disk.openRead(`${directory}/a`);
    await disk.remove(`${directory}/a`);
    assert.equal(text(await reader.read(0, 4)), 'kept');
    await reader.close();
  });

  on('what does not exist is not found', async (disk, directory) => {
    await assert.rejects(disk.openRead(`${directory}/a`), coded('not-found', `${directory}/a`));
  });
}

function names(on: On): void {
  on('rename replaces what has the name', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'new');
    await put(disk, `${directory}/b`, 'old');
    await disk.rename(`${directory}/a`, `${directory}/b`);
    await disk.syncDirectory(directory);
    assert.deepEqual(await disk.list(directory), [{ name: 'b', kind: 'file' }]);
    assert.equal(await get(disk, `${directory}/b`), 'new');
  });

  on('rename moves between directories', async (disk, directory) => {
    await disk.makeDirectory(`${directory}/d`);
    await put(disk, `${directory}/a`, 'moved');
    await disk.rename(`${directory}/a`, `${directory}/d/b`);
    assert.equal(await get(disk, `${directory}/d/b`), 'moved');
    assert.equal(await disk.stat(`${directory}/a`), null);
  });

  on('rename of nothing is not found', async (disk, directory) => {
    await assert.rejects(disk.rename(`${directory}/a`, `${directory}/b`), coded('not-found'));
  });

  on('remove takes a file, and nothing without complaint', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'x');
    await disk.remove(`${directory}/a`);
    await disk.remove(`${directory}/a`);
    assert.deepEqual(await disk.list(directory), []);
  });

  on('remove takes a directory only when it is empty', async (disk, directory) => {
    await disk.makeDirectory(`${directory}/d`);
    await put(disk, `${directory}/d/a`, 'x');
    await assert.rejects(disk.remove(`${directory}/d`), coded('disk-failed', `${directory}/d`));
    await disk.remove(`${directory}/d/a`);
    await disk.remove(`${directory}/d`);
    assert.equal(await disk.stat(`${directory}/d`), null);
  });

  on('a name that was removed can be made again', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'old and long');
    await disk.remove(`${directory}/a`);
    await put(disk, `${directory}/a`, 'new');
    assert.equal(await get(disk, `${directory}/a`), 'new');
  });

  on('stat tells size and kind, null for nothing', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'hello');
    assert.deepEqual(await disk.stat(`${directory}/a`), { size: 5, kind: 'file' });
    assert.equal((await disk.stat(directory))?.kind, 'directory');
    assert.equal(await disk.stat(`${directory}/b`), null);
    assert.equal(await disk.stat(`${directory}/no/b`), null);
  });
}

function directories(on: On): void {
  on('lists are sorted by name and know the kinds', async (disk, directory) => {
    for (const name of ['b', 'a10', 'B', 'a9', '.hidden']) await put(disk, `${directory}/${name}`, name);
    await disk.makeDirectory(`${directory}/c`);
    assert.deepEqual(await disk.list(directory), [
      { name: '.hidden', kind: 'file' },
      { name: 'B', kind: 'file' },
      { name: 'a10', kind: 'file' },
      { name: 'a9', kind: 'file' },
      { name: 'b', kind: 'file' },
      { name: 'c', kind: 'directory' },
    ]);
  });

  on('a list of nothing is not found', async (disk, directory) => {
    await assert.rejects(disk.list(`${directory}/no`), coded('not-found', `${directory}/no`));
  });

  on('directories are made with their parents, and again without complaint', async (disk, directory) => {
    await disk.makeDirectory(`${directory}/a/b/c`);
    await disk.makeDirectory(`${directory}/a/b/c`);
    await disk.makeDirectory(`${directory}/a`);
    await put(disk, `${directory}/a/b/c/file`, 'x');
    assert.deepEqual(await disk.list(`${directory}/a/b`), [{ name: 'c', kind: 'directory' }]);
  });

  on('two who make one directory at once both succeed', async (disk, directory) => {
    await Promise.all([disk.makeDirectory(`${directory}/a/b`), disk.makeDirectory(`${directory}/a/b`)]);
    assert.equal((await disk.stat(`${directory}/a/b`))?.kind, 'directory');
  });

  on('no directory is made where a file is', async (disk, directory) => {
    await put(disk, `${directory}/a`, 'x');
    await assert.rejects(disk.makeDirectory(`${directory}/a`), coded('disk-failed'));
    await assert.rejects(disk.makeDirectory(`${directory}/a/b`), coded('disk-failed'));
  });

  on('space is told, free no more than total', async (disk, directory) => {
    const { free, total } = await disk.space(directory);
    assert.ok(free > 0 && free <= total, `${free} of ${total}`);
  });
}

function locks(on: On): void {
  on('a lock is had by one at a time', async (disk, directory) => {
    const lock = await disk.lock(`${directory}/lock`);
    assert.notEqual(lock, null);
    assert.equal(await disk.lock(`${directory}/lock`), null);
    await lock?.release();
    const again = await disk.lock(`${directory}/lock`);
    assert.notEqual(again, null);
    await again?.release();
  });

  on('locks of two files do not meet', async (disk, directory) => {
    const [first, second] = await Promise.all([disk.lock(`${directory}/a`), disk.lock(`${directory}/b`)]);
    assert.ok(first !== null && second !== null);
    await Promise.all([first.release(), second.release()]);
  });

  on('no lock without a directory', async (disk, directory) => {
    await assert.rejects(disk.lock(`${directory}/no/lock`), coded('not-found'));
  });
}
