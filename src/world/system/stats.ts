import { constants, fstatSync, lstatSync, readlinkSync, type BigIntStats } from 'node:fs';
import { constants as osConstants } from 'node:os';
import type { EntryType, Stat } from '../../model/entries.ts';
import type { ByteName } from '../../model/paths.ts';
import { errnoName, systemError } from './errno.ts';
import { deviceNumberParts } from './native.ts';
import { inDirectory } from './paths-by-handle.ts';
import type { ScannedEntry } from '../ports.ts';

const ALLOCATION_UNIT = 512;
const LINK_READ_ATTEMPTS = 3;

export function entryTypeOf(mode: number): EntryType {
  switch (mode & constants.S_IFMT) {
    case constants.S_IFREG:
      return 'file';
    case constants.S_IFDIR:
      return 'directory';
    case constants.S_IFLNK:
      return 'symlink';
    case constants.S_IFIFO:
      return 'fifo';
    case constants.S_IFSOCK:
      return 'socket';
    case constants.S_IFCHR:
      return 'character-device';
    default:
      return 'block-device';
  }
}

/** @param targetLength of a symlink */
export function statOf(stats: BigIntStats, targetLength = 0): Stat {
  const mode = Number(stats.mode);
  const type = entryTypeOf(mode);
  const stat = {
    type,
    mode: mode & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    size: type === 'file' ? Number(stats.size) : targetLength,
    mtime: stats.mtimeNs,
    ctime: stats.ctimeNs,
    inode: stats.ino,
    device: stats.dev,
    links: Number(stats.nlink),
    allocated: Number(stats.blocks) * ALLOCATION_UNIT,
    // Zero where the file system does not keep it.
    ...(stats.birthtimeNs === 0n ? {} : { birth: stats.birthtimeNs }),
  };
  if (type !== 'character-device' && type !== 'block-device') return stat;
  return { ...stat, rdev: deviceNumberParts(stats.rdev) };
}

/** lstat of a name in an open directory; null if there is nothing. Throws system errors. */
export function lookAt(directory: number, name: ByteName): ScannedEntry | null {
  const path = inDirectory(directory, name);
  for (let attempt = 1; ; attempt++) {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return null;
    if (!stats.isSymbolicLink()) return { name, ...statOf(stats) };
    const target = readLink(path);
    if (target !== null) return { name, target, ...statOf(stats, target.length) };
    if (attempt === LINK_READ_ATTEMPTS) throw systemError('EBUSY', osConstants.errno.EBUSY, 'readlink');
  }
}

/** The same of an open directory: for roots, whose name is nobody's business. */
export function lookAtDirectory(directory: number): ScannedEntry {
  return { name: '' as ByteName, ...statOf(fstatSync(directory, { bigint: true })) };
}

/** Null if it is no link any more, or gone. */
function readLink(path: Buffer): string | null {
  try {
    return readlinkSync(path, 'latin1');
  } catch (error) {
    if (['EINVAL', 'ENOENT'].includes(errnoName(error))) return null;
    throw error;
  }
}
