import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** One name below a directory, as lstat and read tell it, for JSON. Made without any of Lowtide's own code. */
export interface Listed {
  /** Relative, bytes in latin1; '' for the directory itself. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'fifo' | 'other';
  /** Octal, with set-id and sticky bits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds. */
  readonly mtime: string;
  readonly size?: number;
  readonly sha256?: string;
  /** Bytes in latin1. */
  readonly target?: string;
  /** Of a file with several names: the first of them below the directory. */
  readonly sameAs?: string;
}

/** What one snapshot of a fixture holds. */
export interface Listing {
  readonly snapshot: string;
  readonly root: string;
  /** All, or if the listing before has the same root, what differs from it. */
  readonly listed: readonly Listed[];
  /** Paths of the listing before that are not there any more. */
  readonly gone: readonly string[];
}

/** Everything below a directory, sorted by path in bytes. */
export function listTree(directory: string): Listed[] {
  const found: Listed[] = [];
  const inodes = new Map<bigint, string>();
  const visit = (path: string): void => {
    const full = Buffer.from(directory + (path === '' ? '' : `/${path}`), 'latin1');
    const stat = lstatSync(full, { bigint: true });
    found.push(listed(full, path, stat, inodes));
    if (!stat.isDirectory()) return;
    const names = readdirSync(full, { encoding: 'buffer' }).map((name) => name.toString('latin1'));
    for (const name of names.sort()) visit(path === '' ? name : `${path}/${name}`);
  };
  visit('');
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function listed(full: Buffer, path: string, stat: BigIntStats, inodes: Map<bigint, string>): Listed {
  const head = {
    path,
    mode: (stat.mode & 0o7777n).toString(8).padStart(4, '0'),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: String(stat.mtimeNs),
  };
  if (stat.isDirectory()) return { ...head, type: 'directory' };
  if (stat.isSymbolicLink()) {
    return {
      ...head,
      type: 'symlink',
      target: readlinkSync(full, { encoding: 'buffer' }).toString('latin1'),
    };
  }
  if (!stat.isFile()) return { ...head, type: stat.isFIFO() ? 'fifo' : 'other' };
  const first = inodes.get(stat.ino);
  inodes.set(stat.ino, first ?? path);
  return {
    ...head,
    type: 'file',
    size: Number(stat.size),
    sha256: createHash('sha256').update(readFileSync(full)).digest('hex'),
    ...(first === undefined ? {} : { sameAs: first }),
  };
}
