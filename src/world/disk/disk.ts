import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname } from 'node:path';
import { alignedMemory, DirectReading, DirectWriting, Stages } from './direct.ts';
import { diskError, errnoName } from '../system/errno.ts';
import { RealReadableFile, RealWritableFile } from './disk-files.ts';
import { nativeLoader, type Native, nativeOrNull } from '../system/native.ts';
import type { Disk, DiskLock, DiskName } from '../ports.ts';
import { syncDirectory } from './sync-directory.ts';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** The machine's own file system, for what a node keeps for itself. */
export function realDisk(native: () => Native = nativeLoader()): Disk {
  const stages = new Stages();
  return {
    openRead: (path, again = 'soon') =>
      named('open', path, async () => {
        const handle = await fs.open(path, 'r');
        const direct = again === 'soon' ? null : DirectReading.open(path, native);
        return new RealReadableFile(path, handle, await orClosed(handle, direct));
      }),
    create: (path, again = 'soon') =>
      named('create', path, async () => {
        const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
        const handle = await fs.open(path, flags, FILE_MODE);
        const direct = again === 'soon' ? null : DirectWriting.open(path, stages, native);
        return new RealWritableFile(path, handle, 0, await orClosed(handle, direct));
      }),
    memoryForWrites: (length) => {
      const loaded = nativeOrNull(native);
      return loaded === null ? new Uint8Array(length) : alignedMemory(loaded, length);
    },
    openAppend: (path) =>
      named('open', path, async () => {
        const handle = await fs.open(path, 'r+');
        return new RealWritableFile(path, handle, (await handle.stat()).size);
      }),
    list: (path) => named('list', path, () => list(path)),
    stat: (path) => named('look at', path, () => stat(path)),
    makeDirectory: (path) => named('make the directory', path, () => makeDirectory(path)),
    rename: (from, to) => named('rename to', to, () => fs.rename(from, to)),
    remove: (path) => named('remove', path, () => remove(path)),
    syncDirectory: (path) => named('sync', path, () => syncDirectory(path)),
    lock: (path) => named('lock', path, () => lock(path, native())),
    space: (path) =>
      named('measure the space of', path, async () => {
        const { bavail, blocks, bsize } = await fs.statfs(path);
        return { free: bavail * bsize, total: blocks * bsize };
      }),
  };
}

/** What belongs to this file too; if it cannot be had the file is closed. */
async function orClosed<T>(handle: fs.FileHandle, result: Promise<T> | T): Promise<T> {
  try {
    return await result;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function named<T>(doing: string, path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw diskError(error, doing, path);
  }
}

async function list(path: string): Promise<DiskName[]> {
  const found = await fs.readdir(path, { withFileTypes: true });
  return found
    .map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function stat(path: string): ReturnType<Disk['stat']> {
  try {
    const found = await fs.stat(path);
    return { size: found.isFile() ? found.size : 0, kind: kindOf(found) };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoName(error))) return null;
    throw error;
  }
}

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean }): DiskName['kind'] {
  if (entry.isFile()) return 'file';
  return entry.isDirectory() ? 'directory' : 'other';
}

/** From the top down, so that a directory that exists has durable ancestors whenever the process died before. */
async function makeDirectory(path: string): Promise<void> {
  const parent = dirname(path);
  if (parent === path) return;
  try {
    await fs.mkdir(path, DIRECTORY_MODE);
  } catch (error) {
    if (errnoName(error) === 'ENOENT') {
      await makeDirectory(parent);
      return makeDirectory(path);
    }
    if (errnoName(error) !== 'EEXIST' || !(await fs.stat(path)).isDirectory()) throw error;
    return syncIfPermitted(parent);
  }
  await syncDirectory(parent);
}

/** Whoever made the directory may have died before this sync. A parent of somebody else's is not ours to sync. */
async function syncIfPermitted(path: string): Promise<void> {
  try {
    await syncDirectory(path);
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS', 'EINVAL'].includes(errnoName(error))) throw error;
  }
}

async function remove(path: string): Promise<void> {
  try {
    await fs.unlink(path);
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return;
    if (!['EISDIR', 'EPERM'].includes(errnoName(error))) throw error;
    await removeDirectory(path, error);
  }
}

/** Unlink of a directory answers EISDIR on Linux and EPERM elsewhere; only an empty one goes. */
async function removeDirectory(path: string, why: unknown): Promise<void> {
  try {
    await fs.rmdir(path);
  } catch (error) {
    throw errnoName(error) === 'ENOTDIR' ? why : error;
  }
}

/** The file stays when the lock goes: removing it would let two holders lock two files of one name. */
async function lock(path: string, native: Native): Promise<DiskLock | null> {
  const handle = await fs.open(path, constants.O_CREAT | constants.O_RDWR, FILE_MODE);
  try {
    if (native.tryLock(handle.fd)) return { release: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return null;
}
