import { createHash } from 'node:crypto';
import type { EntryType } from '../model/entries.ts';
import { displayPath, joinPath, ROOT_PATH, type PathKey } from '../model/paths.ts';
import type { UnixNanos } from '../model/time.ts';
import type { FileContent } from './file-content.ts';
import type { FileInode } from './file-inode.ts';

/** One name of a tree, with all that a restore must bring back. */
export interface ListedEntry {
  /** Relative to the listed directory, as people read it; `/` is the directory itself. */
  readonly path: string;
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: UnixNanos;
  /** Of a file: size and SHA-256. */
  readonly content?: string;
  readonly target?: string;
  readonly device?: string;
  readonly xattrs?: string;
  readonly flags?: number;
  /** Of a hard-linked file: the first of its names in this tree. */
  readonly sameAs?: string;
}

/** In the order of keys. */
export function listTree(root: FileInode): ListedEntry[] {
  const listed: ListedEntry[] = [];
  const first = new Map<FileInode, string>();
  const visit = (path: PathKey, inode: FileInode): void => {
    const shown = displayPath(path);
    const sameAs = inode.type === 'directory' ? undefined : first.get(inode);
    first.set(inode, sameAs ?? shown);
    listed.push(describe(shown, inode, sameAs));
    for (const [name, child] of [...inode.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
      visit(joinPath(path, name), child);
    }
  };
  visit(ROOT_PATH, root);
  return listed;
}

function describe(path: string, inode: FileInode, sameAs: string | undefined): ListedEntry {
  const { type, mode, uid, gid, mtime } = inode;
  return {
    path,
    type,
    mode,
    uid,
    gid,
    mtime,
    ...(type === 'file' ? { content: `${inode.content.size} ${hashOf(inode.content)}` } : {}),
    ...(type === 'symlink' ? { target: inode.target } : {}),
    ...(inode.rdev === null ? {} : { device: `${inode.rdev.major}:${inode.rdev.minor}` }),
    ...(inode.xattrs.size === 0 ? {} : { xattrs: xattrsText(inode) }),
    ...(inode.flags === 0 ? {} : { flags: inode.flags }),
    ...(sameAs === undefined ? {} : { sameAs }),
  };
}

function xattrsText({ xattrs }: FileInode): string {
  const texts = [...xattrs].map(([name, value]) => `${name}=${Buffer.from(value).toString('latin1')}`);
  return texts.sort().join(' ');
}

const READ_BYTES = 1024 * 1024;

function hashOf(content: FileContent): string {
  const hash = createHash('sha256');
  const buffer = new Uint8Array(Math.min(READ_BYTES, content.size));
  for (let position = 0; position < content.size;) {
    const length = content.read(buffer, position);
    hash.update(buffer.subarray(0, length));
    position += length;
  }
  return hash.digest('hex');
}
