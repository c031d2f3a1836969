import type { Entry } from '../model/entries.ts';
import type { PathKey } from '../model/paths.ts';

/**
 * Groups that are remembered at once, the least recently met forgotten first: about 30 MB. The tree does not say how
 * many members a group has, so none can be dropped earlier.
 */
const GROUPS_MAX = 100_000;

/** A name that further members of its group can be linked to. */
export interface LinkOrigin {
  readonly path: PathKey;
  /** It was there before this restore: to be compared before anything is linked to it. */
  readonly found: boolean;
}

/** Remembers under which name each hard-linked file was restored. */
export class LinkGroups {
  readonly #origins = new Map<string, LinkOrigin>();
  readonly #max: number;

  constructor(max = GROUPS_MAX) {
    this.#max = max;
  }

  find(entry: Entry): LinkOrigin | null {
    const key = keyOf(entry);
    if (key === null) return null;
    const origin = this.#origins.get(key);
    if (origin === undefined) return null;
    this.#origins.delete(key);
    this.#origins.set(key, origin);
    return origin;
  }

  set(entry: Entry, found = false): void {
    const key = keyOf(entry);
    if (key === null) return;
    this.#origins.delete(key);
    this.#origins.set(key, { path: entry.path, found });
    for (const oldest of this.#origins.keys()) {
      if (this.#origins.size <= this.#max) break;
      this.#origins.delete(oldest);
    }
  }

  /** Nothing can be linked to `origin`: the next member starts anew. */
  drop(entry: Entry, origin: PathKey): void {
    const key = keyOf(entry);
    if (key !== null && this.#origins.get(key)?.path === origin) this.#origins.delete(key);
  }
}

/** Members are of one type: a tree that says otherwise must not turn a file into a link to a device. */
function keyOf({ link, type }: Entry): string | null {
  return link === undefined ? null : `${type} ${link.fileSystem} ${link.inode}`;
}
