import { createRequire } from 'node:module';
import { constants } from 'node:os';
import type * as Koffi from 'koffi';
import { LowtideError, messageOf } from '../../model/errors.ts';
import { systemError } from './errno.ts';
import { attributesOver, type NativeAttributes } from './native-attributes.ts';

type Pointer = Uint8Array;

/**
 * The calls of libc that node lacks. Paths are bytes without the closing NUL. Every failure is thrown as node throws
 * its own (`code: 'ENOENT'`).
 */
export interface Native {
  /** False if somebody else has the lock. It belongs to the open file and dies with its last descriptor. */
  tryLock(fd: number): boolean;
  /** Sets the modification time and leaves the access time. */
  setModified(path: Uint8Array, nanoseconds: bigint, lastLink: 'follow' | 'keep'): void;
  /** The same of an open file. */
  setModifiedOf(fd: number, nanoseconds: bigint): void;
  /** @param times two struct timespec: of access, of modification */
  setTimesOf(fd: number, times: Uint8Array): void;
  /** The first byte of data (or of a hole) at or after `position`; null if there is none. */
  seekData(fd: number, position: number): number | null;
  seekHole(fd: number, position: number): number | null;
  makeNode(path: Uint8Array, mode: number, major: number, minor: number): void;
  /** False if the file system cannot refuse by itself; EEXIST is thrown. */
  renameNoReplace(from: Uint8Array, to: Uint8Array): boolean;
  syncFileSystem(fd: number): Promise<void>;
  /** The system gets the memory that was freed and lies between what is in use. Null where the C library has no such call. */
  readonly trimMemory: (() => Promise<void>) | null;
  /** Where memory begins, modulo 2 ** 32. */
  addressOf(bytes: Uint8Array): number;
  readonly attributes: NativeAttributes;
}

const LOCK_EX_NB = 2 | 4;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const RENAME_NOREPLACE = 1;
/** Instead of nanoseconds: this time stays. */
export const UTIME_OMIT = 0x3ffffffen;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const NANOS = 1_000_000_000n;

/**
 * Loads libc at the first call of the answer and keeps it. Where it cannot be loaded the answer throws a LowtideError
 * `disk-failed` each time, which says what is missing.
 */
export function nativeLoader(): () => Native {
  let loaded: Native | undefined;
  return () => (loaded ??= loadNative());
}

/** Null where it cannot be loaded: for those who can do without. */
export function nativeOrNull(native: () => Native): Native | null {
  try {
    return native();
  } catch {
    return null;
  }
}

/** Ends the process here and now. Comes back only where libc cannot be loaded. */
export function exitAtOnce(status: number): void {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    koffi.load(null).func('void _exit(int status)')(status);
  } catch {
    // Then it ends as it can.
  }
}

function loadNative(): Native {
  try {
    if (process.platform !== 'linux') throw new Error(`it is not made for ${process.platform} yet`);
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    return nativeOver(koffi, koffi.load(null));
  } catch (error) {
    throw new LowtideError('disk-failed', `the system library cannot be loaded: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

function thrower(koffi: typeof Koffi): (call: string) => Error {
  return (call) => {
    const errno = koffi.errno();
    return systemError(errnoNames.get(errno) ?? `E${errno}`, errno, call);
  };
}

function nativeOver(koffi: typeof Koffi, libc: Koffi.LibraryHandle): Native {
  const failed = thrower(koffi);
  const flock = libc.func('int flock(int fd, int operation)');
  const utimensat = libc.func('int utimensat(int at, const uint8_t *path, const uint8_t *times, int flags)');
  const futimens = libc.func('int futimens(int fd, const uint8_t *times)');
  const lseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
  const syncfs = libc.func('int syncfs(int fd)');
  const mknod = makeNodeOver(libc);
  const renameat2 = renameOver(libc);
  const trimMemory = trimOver(libc);
  const seek = (fd: number, position: number, whence: number): number | null => {
    const found = Number(lseek(fd, position, whence));
    if (found >= 0) return found;
    if (koffi.errno() === constants.errno.ENXIO) return null;
    throw failed('lseek');
  };
  return {
    attributes: attributesOver(koffi, libc, failed),
    trimMemory,
    tryLock(fd) {
      if (flock(fd, LOCK_EX_NB) === 0) return true;
      if (koffi.errno() === constants.errno.EWOULDBLOCK) return false;
      throw failed('flock');
    },
    setModified(path, nanoseconds, lastLink) {
      const flags = lastLink === 'keep' ? AT_SYMLINK_NOFOLLOW : 0;
      if (utimensat(AT_FDCWD, cString(path), timesOf(nanoseconds), flags) !== 0) throw failed('utimensat');
    },
    setModifiedOf(fd, nanoseconds) {
      if (futimens(fd, timesOf(nanoseconds)) !== 0) throw failed('futimens');
    },
    setTimesOf(fd, times) {
      if (futimens(fd, times) !== 0) throw failed('futimens');
    },
    seekData: (fd, position) => seek(fd, position, SEEK_DATA),
    seekHole: (fd, position) => seek(fd, position, SEEK_HOLE),
    makeNode(path, mode, major, minor) {
      if (mknod(cString(path), mode, deviceNumber(major, minor)) !== 0) throw failed('mknod');
    },
    renameNoReplace(from, to) {
      if (renameat2 === null) return false;
      if (renameat2(AT_FDCWD, cString(from), AT_FDCWD, cString(to), RENAME_NOREPLACE) === 0) return true;
      const cannot: number[] = [constants.errno.EINVAL, constants.errno.ENOSYS, constants.errno.EPERM];
      if (cannot.includes(koffi.errno())) return false;
      throw failed('renameat2');
    },
    addressOf: (bytes) => Number(BigInt.asUintN(32, koffi.address(bytes))),
    syncFileSystem: (fd) =>
      new Promise((resolve, reject) => {
        syncfs.async(fd, (error: Error | null, result: number) => {
          if (error !== null) reject(error);
          else if (result !== 0) reject(failed('syncfs'));
          else resolve();
        });
      }),
  };
}

type MakeNode = (path: Pointer, mode: number, device: bigint) => number;
type Rename = (fromAt: number, from: Pointer, toAt: number, to: Pointer, flags: number) => number;

/** C libraries before glibc 2.33 have mknod only under its inner name. */
function makeNodeOver(libc: Koffi.LibraryHandle): MakeNode {
  try {
    return libc.func('int mknod(const uint8_t *path, uint32_t mode, uint64_t device)') as MakeNode;
  } catch {
    const inner = libc.func(
      'int __xmknod(int version, const uint8_t *path, uint32_t mode, uint64_t *device)',
    ) as (version: number, path: Pointer, mode: number, device: bigint[]) => number;
    return (path, mode, device) => inner(0, path, mode, [device]);
  }
}

/** Not every C library has it: then links do its work. */
function renameOver(libc: Koffi.LibraryHandle): Rename | null {
  try {
    return libc.func(
      'int renameat2(int from_at, const uint8_t *from, int to_at, const uint8_t *to, unsigned int flags)',
    ) as Rename;
  } catch {
    return null;
  }
}

/** glibc has it, others have nothing to trim. */
function trimOver(libc: Koffi.LibraryHandle): Native['trimMemory'] {
  try {
    const trim = libc.func('int malloc_trim(size_t pad)');
    // Not on the main thread: it looks at all that is free.
    return () => new Promise((resolve) => trim.async(0, () => resolve()));
  } catch {
    return null;
  }
}

function cString(bytes: Uint8Array): Buffer {
  const buffer = Buffer.alloc(bytes.length + 1);
  buffer.set(bytes);
  return buffer;
}

/** Two struct timespec on a 64-bit machine: leave the access time, set the other. */
function timesOf(nanoseconds: bigint): Buffer {
  const rest = ((nanoseconds % NANOS) + NANOS) % NANOS;
  const times = Buffer.alloc(32);
  times.writeBigInt64LE(UTIME_OMIT, 8);
  times.writeBigInt64LE((nanoseconds - rest) / NANOS, 16);
  times.writeBigInt64LE(rest, 24);
  return times;
}

/** Linux' encoding of a device number (makedev). */
export function deviceNumber(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & ~0xfffn) << 32n) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n) | (low & 0xffn);
}

export function deviceNumberParts(device: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((device >> 32n) & 0xfffff000n) | ((device >> 8n) & 0xfffn)),
    minor: Number(((device >> 12n) & 0xffffff00n) | (device & 0xffn)),
  };
}
