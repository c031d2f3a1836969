import type { DeviceNumber, EntryType, Stat } from '../model/entries.ts';
import { checkName, joinPath, pathComponents, type ByteName, type PathKey } from '../model/paths.ts';
import type { UnixNanos } from '../model/time.ts';
import { BrokenPath } from '../world/system/paths-by-handle.ts';
import type { ScannedEntry } from '../world/ports.ts';
import { FileContent } from './file-content.ts';

/** A file, directory, link or device of the user's file system. */
export interface FileInode {
  readonly number: bigint;
  readonly type: EntryType;
  device: bigint;
  mode: number;
  uid: number;
  gid: number;
  mtime: UnixNanos;
  ctime: UnixNanos;
  links: number;
  /** Of a directory. */
  readonly entries: Map<ByteName, FileInode>;
  /** Of a file. */
  content: FileContent;
  /** Of a symlink. */
  readonly target: string;
  readonly rdev: DeviceNumber | null;
  /** Extended attributes by name. */
  xattrs: ReadonlyMap<string, Uint8Array>;
  flags: number;
  /** Set where the kernel's own files begin. */
  virtual?: string;
}

export function statOf(inode: FileInode): Stat {
  const { number, type, device, mode, uid, gid, mtime, ctime, content } = inode;
  const isFile = type === 'file';
  const children = [...inode.entries.values()];
  return {
    type,
    mode,
    uid,
    gid,
    size: isFile ? content.size : inode.target.length,
    mtime,
    ctime,
    inode: number,
    device,
    links:
      type === 'directory' ? 2 + children.filter((child) => child.type === 'directory').length : inode.links,
    allocated: isFile ? content.allocated : 0,
    ...(inode.rdev === null ? {} : { rdev: inode.rdev }),
  };
}

export function scannedEntry(name: ByteName, inode: FileInode): ScannedEntry {
  const virtual = inode.virtual === undefined ? {} : { virtual: inode.virtual };
  return {
    name,
    ...virtual,
    ...(inode.type === 'symlink' ? { target: inode.target } : {}),
    ...statOf(inode),
  };
}

/**
 * Goes down component by component and follows no link.
 * @param at where `from` is, for messages
 * @throws {BrokenPath}
 */
export function walk(from: FileInode, at: PathKey, path: PathKey): FileInode {
  const names = pathComponents(path);
  for (const name of names) checkName(name);
  let inode = from;
  let reached = at;
  for (const name of names) {
    if (inode.type === 'symlink') throw new BrokenPath(reached, 'link', undefined);
    if (inode.type !== 'directory') throw new BrokenPath(reached, 'no-directory', undefined);
    reached = joinPath(reached, name);
    const next = inode.entries.get(name);
    if (next === undefined) throw new BrokenPath(reached, 'missing', undefined);
    inode = next;
  }
  return inode;
}

/** As `walk`, to what must be a directory. */
export function walkToDirectory(from: FileInode, at: PathKey, path: PathKey): FileInode {
  const inode = walk(from, at, path);
  const whole = path === '' ? at : joinPath(at, path as string as ByteName);
  if (inode.type === 'symlink') throw new BrokenPath(whole, 'link', undefined);
  if (inode.type !== 'directory') throw new BrokenPath(whole, 'no-directory', undefined);
  return inode;
}

/** A tree at one moment: inodes of its own, which share the pages of files. */
export function copyTree(root: FileInode): FileInode {
  const known = new Map<FileInode, FileInode>();
  const visit = (inode: FileInode): FileInode => {
    const seen = known.get(inode);
    if (seen !== undefined) return seen;
    const copy: FileInode = { ...inode, entries: new Map(), content: new FileContent(inode.content) };
    known.set(inode, copy);
    for (const [name, child] of inode.entries) copy.entries.set(name, visit(child));
    return copy;
  };
  return visit(root);
}
