import type { Entry, Stat } from '../../model/entries.ts';
import type { PathKey } from '../../model/paths.ts';

export interface Found {
  readonly path: PathKey;
  readonly stat: Stat;
  /** Of a symlink. */
  readonly target?: string;
  /** Number of its st_dev among those of the walk. */
  readonly fileSystem: number;
  /** Its attributes (format F27), once they are known. */
  readonly extra?: Uint8Array;
}

/** An entry as it was found, without extents. Everything that can have several names is marked if it has. */
export function entryOf({ path, stat, target, fileSystem, extra }: Found): Entry {
  const { type, mode, uid, gid, mtime, ctime, inode, rdev } = stat;
  const linked = stat.links > 1 && type !== 'directory';
  return {
    path,
    type,
    mode,
    uid,
    gid,
    size: type === 'file' ? stat.size : (target?.length ?? 0),
    mtime,
    ctime,
    inode,
    unsettled: false,
    partial: false,
    ...(linked ? { link: { fileSystem, inode } } : {}),
    ...(target === undefined ? {} : { target }),
    ...(rdev === undefined ? {} : { rdev }),
    ...(extra === undefined ? {} : { extra }),
    extents: [],
  };
}

type Change = Pick<Stat, 'type' | 'size' | 'mtime' | 'ctime' | 'inode'>;

/**
 * Whether a file is as it was: equality and never newer-than, so that a file with an old time that takes another's
 * place is seen. st_dev is left out: it changes with every boot. Mode and owner change with ctime.
 */
export function isSame(a: Change, b: Change): boolean {
  return (
    a.type === b.type &&
    a.size === b.size &&
    a.mtime === b.mtime &&
    a.ctime === b.ctime &&
    a.inode === b.inode
  );
}

export const NANOS_PER_MILLI = 1_000_000n;

/**
 * Whether a file that was looked at then may change again and keep its times (format F25): its clock may tick no finer
 * than a second or two.
 */
export function isFresh(stat: Pick<Stat, 'mtime' | 'ctime'>, now: number, withinMs: number): boolean {
  return isFreshAt(
    [stat.mtime, stat.ctime].map((time) => Number(time / NANOS_PER_MILLI)),
    now,
    withinMs,
  );
}

/** The same of times in milliseconds. */
export function isFreshAt(changes: readonly number[], now: number, withinMs: number): boolean {
  return changes.some((time) => Math.abs(time - now) <= withinMs);
}
