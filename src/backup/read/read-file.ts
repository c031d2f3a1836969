import { isLowtideError, type LowtideError } from '../../model/errors.ts';
import type { Stat } from '../../model/entries.ts';
import { displayPath, type PathKey } from '../../model/paths.ts';
import type { World } from '../../world/ports.ts';
import { isFresh, isSame } from './entry-of.ts';
import type { FoundProblem } from '../problems.ts';

/** How the reading of one small file ended. */
export type SmallRead =
  /** It is what it was in the walk; all of it is in its place. */
  | {
      readonly kind: 'as found';
      readonly unsettled: boolean;
      /** Known to have no extended attributes and no flags that are kept. */
      readonly bare: boolean;
    }
  | {
      readonly kind: 'read';
      /** From before the read. The region holds its `size` bytes. */
      readonly stat: Stat;
      readonly unsettled: boolean;
      /** It changed under every attempt: what was stored may be of several moments. */
      readonly torn: boolean;
    }
  /** It has grown beyond the region: it must be read as a large file. */
  | { readonly kind: 'grown' }
  | { readonly kind: 'failed'; readonly problem: FoundProblem };

/**
 * Reads a whole file into `region`. Opened anew for each attempt, because a file that changes is often replaced.
 */
export async function readSmallFile(world: World, path: PathKey, region: Uint8Array): Promise<SmallRead> {
  const { files, clock, limits } = world;
  for (let attempt = 1; ; attempt++) {
    try {
      const file = await files.openSource(path);
      try {
        const before = await file.stat();
        if (before.size > region.length) return { kind: 'grown' };
        const now = clock.now();
        const length = await file.read(region.subarray(0, before.size), 0);
        const torn = length < before.size || !isSame(before, await file.stat());
        if (torn && attempt < limits.torn_read_attempts) continue;
        region.fill(0, length, before.size);
        const unsettled = torn || isFresh(before, now, limits.unsettled_ms);
        return { kind: 'read', stat: before, unsettled, torn };
      } finally {
        await file.close();
      }
    } catch (error) {
      if (!isLowtideError(error, 'not-found', 'source-unreadable')) throw error;
      return { kind: 'failed', problem: await unreadable(world, path, error) };
    }
  }
}

/** Gone, or something else by now: a note. There and unreadable: an error. */
export async function unreadable(world: World, path: PathKey, error: LowtideError): Promise<FoundProblem> {
  const now =
    error.code === 'not-found' ? null : await world.files.lstat(path).catch(() => 'unknown' as const);
  if (now === null) {
    const message = `${displayPath(path)} was gone before it could be read`;
    return { path, code: 'vanished', message, severity: 'note' };
  }
  if (now !== 'unknown' && now.type !== 'file') {
    const message = `${displayPath(path)} was no regular file any more when it was to be read`;
    return { path, code: 'vanished', message, severity: 'note' };
  }
  return { path, code: error.code, message: error.message, severity: 'error' };
}

export function changedWhileRead(path: PathKey): FoundProblem {
  const message = `${displayPath(path)} changed while it was read: it may be stored as it never was, and is read again next time`;
  return { path, code: 'changed-while-read', message, severity: 'note' };
}
