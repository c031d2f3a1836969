import { constants } from 'node:os';
import { constants as fsConstants } from 'node:fs';
import type * as Koffi from 'koffi';

/**
 * What has the attributes: an open file or directory, or a path as bytes. `kept`: a symbolic link at the path's end is
 * meant itself.
 */
export type AttributeHolder = number | { readonly path: Uint8Array; readonly lastLink: 'follow' | 'kept' };

/** Extended attributes and inode flags. Names have one character a byte. Failures are thrown as node throws its own. */
export interface NativeAttributes {
  /** In no order. Those that the caller may not even know of are not among them. */
  list(holder: AttributeHolder): string[];
  /** Null if it has none of this name. */
  get(holder: AttributeHolder, name: string): Uint8Array | null;
  set(holder: AttributeHolder, name: string, value: Uint8Array): void;
  remove(holder: AttributeHolder, name: string): void;
  /** All flags of an open file or directory; null if the file system has none. */
  flags(descriptor: number): number | null;
  setFlags(descriptor: number, flags: number): void;
  /** Opens a name in a directory (O_PATH will do) to read it: no link, no waiting, no access time. `close` it. */
  openIn(directory: number, name: string): number;
  close(descriptor: number): void;
}

type Call = (...words: (number | Uint8Array)[]) => number;
type Failed = (call: string) => Error;

/** What a list and a value may have at most (Linux: XATTR_LIST_MAX, XATTR_SIZE_MAX). */
const ROOM = 65_536;
const GET_FLAGS = 0x8008_6601;
const SET_FLAGS = 0x4008_6602;
const { ENODATA, EPERM, ENOTTY, EOPNOTSUPP, EINVAL, ENOSYS } = constants.errno;
const { O_NOATIME, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fsConstants;
const O_CLOEXEC = 0o2000000;
const O_NOCTTY = 0o400;

export function attributesOver(
  koffi: typeof Koffi,
  libc: Koffi.LibraryHandle,
  failed: Failed,
): NativeAttributes {
  return { ...xattrsOver(koffi, libc, failed), ...flagsOver(koffi, libc, failed) };
}

type Xattrs = Pick<NativeAttributes, 'list' | 'get' | 'set' | 'remove'>;

function xattrsOver(koffi: typeof Koffi, libc: Koffi.LibraryHandle, failed: Failed): Xattrs {
  const room = Buffer.alloc(ROOM);
  const calls = {
    list: variants(libc, 'int64_t NAMElistxattr(WHO, uint8_t *list, size_t size)'),
    get: variants(libc, 'int64_t NAMEgetxattr(WHO, const uint8_t *name, uint8_t *value, size_t size)'),
    set: variants(
      libc,
      'int NAMEsetxattr(WHO, const uint8_t *name, const uint8_t *value, size_t size, int flags)',
    ),
    remove: variants(libc, 'int NAMEremovexattr(WHO, const uint8_t *name)'),
  };
  return {
    list(holder) {
      const length = calls.list(holder, room, ROOM);
      if (length < 0) {
        if (koffi.errno() === EOPNOTSUPP || koffi.errno() === ENOSYS) return [];
        throw failed('listxattr');
      }
      return length === 0 ? [] : room.toString('latin1', 0, length - 1).split('\0');
    },
    get(holder, name) {
      const length = calls.get(holder, cName(name), room, ROOM);
      if (length >= 0) return new Uint8Array(room.subarray(0, length));
      if (koffi.errno() === ENODATA) return null;
      throw failed('getxattr');
    },
    set(holder, name, value) {
      // An empty value has no address that koffi could give.
      const bytes = value.length === 0 ? room : value;
      if (calls.set(holder, cName(name), bytes, value.length, 0) !== 0) throw failed('setxattr');
    },
    remove(holder, name) {
      if (calls.remove(holder, cName(name)) !== 0 && koffi.errno() !== ENODATA) throw failed('removexattr');
    },
  };
}

/** One call by descriptor, by path, and by path with the last link kept. */
function variants(
  libc: Koffi.LibraryHandle,
  text: string,
): (holder: AttributeHolder, ...rest: (number | Uint8Array)[]) => number {
  const of = (prefix: string, who: string): Call =>
    libc.func(text.replace('NAME', prefix).replace('WHO', who)) as Call;
  const byDescriptor = of('f', 'int fd');
  const following = of('', 'const uint8_t *path');
  const keeping = of('l', 'const uint8_t *path');
  return (holder, ...rest) => {
    if (typeof holder === 'number') return byDescriptor(holder, ...rest);
    const path = Buffer.concat([holder.path, Uint8Array.of(0)]);
    return (holder.lastLink === 'follow' ? following : keeping)(path, ...rest);
  };
}

type Flags = Pick<NativeAttributes, 'flags' | 'setFlags' | 'openIn' | 'close'>;

function flagsOver(koffi: typeof Koffi, libc: Koffi.LibraryHandle, failed: Failed): Flags {
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, uint8_t *argument)') as Call;
  const openat = libc.func('int openat(int at, const uint8_t *path, int flags, int mode)') as Call;
  const close = libc.func('int close(int fd)') as Call;
  const argument = Buffer.alloc(8);
  const quietly = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const none: number[] = [ENOTTY, EOPNOTSUPP, EINVAL, ENOSYS];
  return {
    flags(descriptor) {
      argument.fill(0);
      if (ioctl(descriptor, GET_FLAGS, argument) === 0) return argument.readUInt32LE();
      if (none.includes(koffi.errno())) return null;
      throw failed('ioctl');
    },
    setFlags(descriptor, flags) {
      argument.fill(0);
      argument.writeUInt32LE(flags >>> 0);
      if (ioctl(descriptor, SET_FLAGS, argument) !== 0) throw failed('ioctl');
    },
    openIn(directory, name) {
      const path = cName(name);
      let descriptor = openat(directory, path, quietly | O_NOATIME, 0);
      // Only its owner and root may leave the access time alone.
      if (descriptor < 0 && koffi.errno() === EPERM) descriptor = openat(directory, path, quietly, 0);
      if (descriptor < 0) throw failed('openat');
      return descriptor;
    },
    close: (descriptor) => void close(descriptor),
  };
}

function cName(name: string): Buffer {
  return Buffer.from(`${name}\0`, 'latin1');
}
