import { constants as fsConstants } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, endianness } from 'node:os';
import type * as Koffi from 'koffi';
import { systemError } from './errno.ts';

/**
 * Calls of the kernel for one thread that makes many of them, without an object or a promise for each: they take
 * descriptors and write into memory that is always the same. A negative answer is -errno.
 */
export interface SystemCalls {
  /** Of the last `look` or `lookAt` that gave 0: a struct statx. */
  readonly stat: Buffer;
  /** Entries of the last `listNext`: structs linux_dirent64. */
  readonly names: Buffer;
  /** Opens a name in a directory for reading: no link, no waiting, no access time where that is permitted. */
  openIn(directory: number, name: string): number;
  close(descriptor: number): number;
  /** lstat of a name in a directory. */
  look(directory: number, name: string): number;
  /** fstat. */
  lookAt(descriptor: number): number;
  /** The next entries of an open directory: how many bytes of `names`; 0 at its end. */
  listNext(directory: number): number;
  /** Inode flags of an open file. */
  flags(descriptor: number): number;
  /** How many bytes the names of an open file's extended attributes take. */
  attributeBytes(descriptor: number): number;
  read(descriptor: number, into: Uint8Array, position: number): number;
  /** A new file for writing under a name that nobody has. */
  create(directory: number, name: string, mode: number): number;
  write(descriptor: number, bytes: Uint8Array, position: number): number;
  /** @param times two struct timespec: of access, of modification */
  setTimes(descriptor: number, times: Uint8Array): number;
  setMode(descriptor: number, mode: number): number;
  /** Has the disk begin to read the first bytes of an open file. */
  willNeed(descriptor: number, bytes: number): void;
}

/** Where the fields of a struct statx are, in bytes. */
export const STATX = {
  links: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  inode: 32,
  size: 40,
  blocks: 48,
  birth: 80,
  changed: 96,
  modified: 112,
  nodeMajor: 128,
  nodeMinor: 132,
  deviceMajor: 136,
  deviceMinor: 140,
} as const;

const GET_FLAGS = 0x8008_6601;
const STATX_BYTES = 256;
const STATX_BASIC_AND_BIRTH = 0xfff;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const AT_EMPTY_PATH = 0x1000;
const POSIX_FADV_WILLNEED = 3;
const O_CLOEXEC = 0o2000000;
const O_NOCTTY = 0o400;
const NAMES_BYTES = 65_536;
const NAME_BYTES_MAX = 4096;
const { O_CREAT, O_EXCL, O_NOATIME, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fsConstants;
const QUIETLY = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
const NEW = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC;

type Call = (...words: (number | Uint8Array)[]) => number;

/** Null where the system library lacks one of them, or cannot be reached. */
export function loadSystemCalls(): SystemCalls | null {
  try {
    if (process.platform !== 'linux' || endianness() !== 'LE') return null;
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    return callsOver(koffi, koffi.load(null));
  } catch {
    return null;
  }
}

function callsOver(koffi: typeof Koffi, libc: Koffi.LibraryHandle): SystemCalls {
  const statx = libc.func(
    'int statx(int at, const uint8_t *path, int flags, unsigned int mask, uint8_t *into)',
  ) as Call;
  const openat = libc.func('int openat(int at, const uint8_t *path, int flags, int mode)') as Call;
  const getdents = libc.func('int64_t getdents64(int fd, uint8_t *into, size_t size)') as Call;
  const pread = libc.func('int64_t pread(int fd, uint8_t *into, size_t size, int64_t position)') as Call;
  const pwrite = libc.func(
    'int64_t pwrite(int fd, const uint8_t *bytes, size_t size, int64_t position)',
  ) as Call;
  const futimens = libc.func('int futimens(int fd, const uint8_t *times)') as Call;
  const fchmod = libc.func('int fchmod(int fd, unsigned int mode)') as Call;
  const close = libc.func('int close(int fd)') as Call;
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, uint8_t *argument)') as Call;
  const fadvise = libc.func('int posix_fadvise(int fd, int64_t from, int64_t length, int advice)') as Call;
  const flistxattr = libc.func('int64_t flistxattr(int fd, uint8_t *list, size_t size)') as Call;
  const name = Buffer.alloc(NAME_BYTES_MAX);
  const empty = Buffer.alloc(1);
  const word = Buffer.alloc(8);
  const stat = Buffer.alloc(STATX_BYTES);
  const names = Buffer.alloc(NAMES_BYTES);
  const setName = (text: string): Buffer => {
    name[name.write(text, 'latin1')] = 0;
    return name;
  };
  const answer = (result: number): number => (result < 0 ? -koffi.errno() : result);
  return {
    stat,
    names,
    openIn(directory, text) {
      const path = setName(text);
      const quiet = answer(openat(directory, path, QUIETLY | O_NOATIME, 0));
      // Only its owner and root may leave the access time alone.
      return quiet === -constants.errno.EPERM ? answer(openat(directory, path, QUIETLY, 0)) : quiet;
    },
    close: (descriptor) => answer(close(descriptor)),
    look: (directory, text) =>
      answer(
        statx(directory, setName(text), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_AND_BIRTH, stat),
      ),
    lookAt: (descriptor) => answer(statx(descriptor, empty, AT_EMPTY_PATH, STATX_BASIC_AND_BIRTH, stat)),
    listNext: (directory) => answer(getdents(directory, names, NAMES_BYTES)),
    flags(descriptor) {
      const failed = answer(ioctl(descriptor, GET_FLAGS, word));
      return failed < 0 ? failed : word.readUInt32LE();
    },
    attributeBytes: (descriptor) => answer(flistxattr(descriptor, names, 0)),
    read: (descriptor, into, position) => answer(pread(descriptor, into, into.length, position)),
    create: (directory, text, mode) => answer(openat(directory, setName(text), NEW, mode)),
    write: (descriptor, bytes, position) => answer(pwrite(descriptor, bytes, bytes.length, position)),
    setTimes: (descriptor, times) => answer(futimens(descriptor, times)),
    setMode: (descriptor, mode) => answer(fchmod(descriptor, mode)),
    willNeed: (descriptor, bytes) => void fadvise(descriptor, 0, bytes, POSIX_FADV_WILLNEED),
  };
}

const errnoNames = (): Map<number, string> =>
  new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** What a negative answer says, as node's own errors are. */
export function callError(answer: number, call: string): Error {
  return systemError(errnoNames().get(-answer) ?? `E${-answer}`, -answer, call);
}
