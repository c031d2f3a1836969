import { chownSync, closeSync, lstatSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { APPEND_ONLY_FLAG, IMMUTABLE_FLAG, KEPT_FLAGS } from '../../model/entries.ts';
import { errnoName } from '../../world/system/errno.ts';
import type { AttributeHolder, NativeAttributes } from '../../world/system/native-attributes.ts';
import { run } from './file-kinds.ts';
import { IT, type Kind } from './kinds.ts';

type Type = 'file' | 'directory' | 'symbolic link' | 'fifo';
const makers: Readonly<Record<Type, (path: string) => void>> = {
  file: (path) => writeFileSync(path, 'x'),
  directory: (path) => mkdirSync(path),
  'symbolic link': (path) => symlinkSync('nowhere', path),
  fifo: (path) => run('mkfifo', path),
};

const ANYBODY = 0xffff_ffff;
/** u::rw-, u:54321:r--, g::r--, m::rw-, o::--- as Linux has it in an extended attribute. */
const LIST = aclOf([
  [0x01, 6, ANYBODY],
  [0x02, 4, 54_321],
  [0x04, 4, ANYBODY],
  [0x10, 6, ANYBODY],
  [0x20, 0, ANYBODY],
]);
/** cap_net_raw, permitted and effective. */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const LABEL = Buffer.from('system_u:object_r:user_home_t:s0\0');

function aclOf(entries: readonly (readonly [tag: number, rights: number, id: number])[]): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  for (const [at, [tag, rights, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + at * 8);
    bytes.writeUInt16LE(rights, 6 + at * 8);
    bytes.writeUInt32LE(id, 8 + at * 8);
  }
  return bytes;
}

/** Extended attributes and inode flags. */
export function attributeKinds(native: NativeAttributes): readonly Kind[] {
  return [...xattrs(native), ...flags(native)];
}

const holderOf = (folder: string): AttributeHolder => ({
  path: Buffer.from(`${folder}/${IT}`),
  lastLink: 'kept',
});

function xattrs(native: NativeAttributes): Kind[] {
  const kind = (name: string, type: Type, attribute: string, value: Buffer): Kind => ({
    group: 'attributes',
    name,
    make: (folder) => {
      makers[type](`${folder}/${IT}`);
      native.set(holderOf(folder), attribute, value);
    },
    look: (folder) => {
      const found = native.get(holderOf(folder), attribute);
      return found === null ? 'none' : Buffer.from(found).toString('hex');
    },
    expected: value.toString('hex'),
  });
  return [
    kind('user attributes of a file', 'file', 'user.lowtide', Buffer.from('any\0bytes\xff', 'latin1')),
    kind('user attributes of a directory', 'directory', 'user.lowtide', Buffer.from('x')),
    kind('an empty attribute', 'file', 'user.lowtide', Buffer.alloc(0)),
    kind('an attribute of 3,000 bytes', 'file', 'user.lowtide', Buffer.alloc(3000, 'x')),
    kind('an attribute of 60,000 bytes', 'file', 'user.lowtide', Buffer.alloc(60_000, 'x')),
    kind('an access control list', 'file', 'system.posix_acl_access', LIST),
    kind('a directory’s default list', 'directory', 'system.posix_acl_default', LIST),
    ...[kind('a capability', 'file', 'security.capability', CAPABILITY)].map(ofSomebody),
    kind('a security label', 'file', 'security.selinux', LABEL),
    kind('root’s own (trusted)', 'file', 'trusted.lowtide', Buffer.from('x')),
    kind('of a symbolic link (trusted)', 'symbolic link', 'trusted.lowtide', Buffer.from('x')),
    kind('of a fifo (trusted)', 'fifo', 'trusted.lowtide', Buffer.from('x')),
  ];
}

/** Changing an owner takes a capability away, so the order of a restore matters: this one is somebody else's. */
function ofSomebody(kind: Kind): Kind {
  return {
    ...kind,
    make: (folder) => {
      writeFileSync(`${folder}/${IT}`, '');
      chownSync(`${folder}/${IT}`, 54_321, 54_321);
      kind.make(folder);
    },
  };
}

const FLAGS: readonly (readonly [name: string, flag: number])[] = [
  ['no dump (d)', 0x40],
  ['no access times (A)', 0x80],
  ['synchronous (S)', 0x8],
  ['compress (c)', 0x4],
  ['no copy on write (C)', 0x80_0000],
  ['append only (a)', APPEND_ONLY_FLAG],
  ['immutable (i)', IMMUTABLE_FLAG],
];

function flags(native: NativeAttributes): Kind[] {
  const kind = (name: string, type: 'file' | 'directory', flag: number): Kind => ({
    group: 'flags',
    name,
    make: (folder) => {
      // No copy on write can be given to an empty file only.
      if (type === 'file') writeFileSync(`${folder}/${IT}`, '');
      else makers[type](`${folder}/${IT}`);
      change(native, `${folder}/${IT}`, (before) => (before & ~KEPT_FLAGS) | flag);
    },
    look: (folder) => `0x${(flagsAt(native, `${folder}/${IT}`) & flag).toString(16)}`,
    expected: `0x${flag.toString(16)}`,
  });
  return [
    ...FLAGS.map(([name, flag]) => kind(name, 'file', flag)),
    kind('an immutable directory', 'directory', IMMUTABLE_FLAG),
  ];
}

function flagsAt(native: NativeAttributes, path: string): number {
  const file = openSync(path, 'r');
  try {
    const found = native.flags(file);
    if (found === null) throw Object.assign(new Error('no flags'), { code: 'EOPNOTSUPP' });
    return found;
  } finally {
    closeSync(file);
  }
}

function change(native: NativeAttributes, path: string, to: (before: number) => number): void {
  const before = flagsAt(native, path);
  const file = openSync(path, 'r');
  try {
    native.setFlags(file, to(before));
  } finally {
    closeSync(file);
  }
}

/** So that it can be removed, if it is there. */
export function unlock(native: NativeAttributes, path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  // Who opens a fifo waits.
  if (found === undefined || !(found.isFile() || found.isDirectory())) return;
  try {
    change(native, path, (before) => before & ~(IMMUTABLE_FLAG | APPEND_ONLY_FLAG));
  } catch (error) {
    if (errnoName(error) === '') throw error;
  }
}
