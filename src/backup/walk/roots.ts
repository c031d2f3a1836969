import { LowtideError } from '../../model/errors.ts';
import { displayPath, isWithin, type PathKey } from '../../model/paths.ts';
import type { Files, ScannedEntry } from '../../world/ports.ts';

export interface Root {
  readonly path: PathKey;
  readonly stat: ScannedEntry;
}

/** In tree order, each once; a root within another is part of it (and of its excludes). */
export function mergeRoots(roots: readonly PathKey[]): PathKey[] {
  const merged: PathKey[] = [];
  for (const root of [...roots].sort()) {
    const last = merged.at(-1);
    if (last === undefined || !isWithin(root, last)) merged.push(root);
  }
  return merged;
}

/** All roots with their lstat. @throws LowtideError `source-missing` if one is not there: half a backup looks whole */
export async function lookAtRoots(files: Files, roots: readonly PathKey[]): Promise<Root[]> {
  const found: Root[] = [];
  for (const path of mergeRoots(roots)) {
    const stat = await files.lstat(path);
    if (stat === null) {
      throw new LowtideError(
        'source-missing',
        `${displayPath(path)} does not exist: nothing was backed up; connect its disk, or take it out of the job`,
      );
    }
    if (stat.virtual !== undefined) {
      const message = `${displayPath(path)} (${stat.virtual}) is the kernel's own and has no files to keep: nothing was backed up`;
      throw new LowtideError('source-unreadable', message);
    }
    found.push({ path, stat });
  }
  if (found.length === 0)
    throw new LowtideError('source-missing', 'the job names no path: nothing was backed up');
  return found;
}
