import type { Entry } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import {
  baseName,
  checkName,
  displayBytes,
  isWithin,
  joinPath,
  parentPath,
  pathComponents,
  type PathKey,
} from '../model/paths.ts';
import type { ScannedEntry } from '../world/ports.ts';
import type { RestoreTarget } from '../world/target/ports.ts';
import { ownError } from './stop.ts';

const OWNER_BITS = 0o700;

/** A directory of the target that the walk is in. */
export interface Level {
  readonly path: PathKey;
  /** Whose metadata it gets once nothing more is made in it; null: it keeps what it has. */
  entry: Entry | null;
  /** This restore made it, so nobody else's names are in it. */
  readonly fresh: boolean;
  /** Why it could not be made: then nothing within it can be restored. */
  readonly blocked: LowtideError | null;
  /** Entries that were not restored for that. */
  missed: number;
}

/**
 * The directories between the target's root and where the walk is. The tree's order visits each directory once, so
 * what the walk has left is complete but for the files that are still under way. Parents that the snapshot does not
 * have are made with the target's default mode.
 */
export class DirectoryStack {
  readonly #target: RestoreTarget;
  readonly #ancestors: ReadonlyMap<PathKey, Entry>;
  readonly #levels: Level[];
  #left: Level[] = [];

  /** @param ancestors entries of directories that were not asked for, but hold what was */
  constructor(target: RestoreTarget, ancestors: ReadonlyMap<PathKey, Entry>, rootIsFresh: boolean) {
    this.#target = target;
    this.#ancestors = ancestors;
    this.#levels = [{ path: '' as PathKey, entry: null, fresh: rootIsFresh, blocked: null, missed: 0 }];
  }

  /** Goes to the directory that `path` is in and makes what is missing on the way there. */
  async enter(path: PathKey): Promise<Level> {
    return this.#goTo(parentPath(path));
  }

  /** Whether `path` is in the directory that the walk is in, and this restore has made that. */
  isFreshAt(path: PathKey): boolean {
    const { path: here, fresh, blocked } = this.#top;
    return fresh && blocked === null && parentPath(path) === here;
  }

  /** A directory that was asked for. Null if it could not be made. */
  async make(entry: Entry): Promise<Level | null> {
    if (entry.path === '') return this.#root(entry);
    const parent = await this.enter(entry.path);
    if (parent.blocked !== null) {
      parent.missed++;
      return null;
    }
    const level = await this.#make(parent, entry.path, entry);
    this.#levels.push(level);
    return level.blocked === null ? level : null;
  }

  /** Leaves every directory. */
  leaveAll(): void {
    while (this.#levels.length > 0) this.#left.push(this.#levels.pop()!);
  }

  /** The directories that the walk has left since the last call, deepest first. */
  takeLeft(): readonly Level[] {
    const left = this.#left;
    this.#left = [];
    return left;
  }

  /** How many `takeLeft` would give. */
  get leftCount(): number {
    return this.#left.length;
  }

  async #goTo(directory: PathKey): Promise<Level> {
    while (!isWithin(directory, this.#top.path)) this.#left.push(this.#levels.pop()!);
    if (directory === this.#top.path || this.#top.blocked !== null) return this.#top;
    const missing = pathComponents(directory).slice(pathComponents(this.#top.path).length);
    for (const name of missing) {
      const path = joinPath(this.#top.path, name);
      const level = await this.#make(this.#top, path, null);
      this.#levels.push(level);
      if (level.blocked !== null) break;
    }
    return this.#top;
  }

  get #top(): Level {
    return this.#levels.at(-1)!;
  }

  /** A directory that its owner may not write in, left by an earlier restore: its mode comes back when it is left. */
  async #openUp(entry: Entry, there: ScannedEntry): Promise<void> {
    const mode = there.mode | OWNER_BITS;
    if (mode === there.mode) return;
    const { uid, gid, mtime } = there;
    await this.#target.applyMetadata(entry.path, { ...entry, uid, gid, mtime, mode });
  }

  /** The target's own directory gets the metadata of `/` only if nobody had it for anything else. */
  #root(entry: Entry): Level {
    const root = this.#levels[0]!;
    if (root.fresh) root.entry = entry;
    return root;
  }

  async #make(parent: Level, path: PathKey, entry: Entry | null): Promise<Level> {
    try {
      checkName(baseName(path));
      const there = await this.#target.lstat(path);
      if (there !== null && parent.fresh) throw takenTwice(baseName(path));
      await this.#target.makeDirectory(path);
      if (there !== null && entry !== null) await this.#openUp(entry, there);
      const fresh = there === null;
      const own = entry ?? (fresh ? (this.#ancestors.get(path) ?? null) : null);
      return { path, entry: own, fresh, blocked: null, missed: 0 };
    } catch (error) {
      return { path, entry: null, fresh: false, blocked: ownError(error), missed: 0 };
    }
  }
}

/**
 * Where the file system takes two names of one directory for the same (case, Unicode form), one of them is lost. Or
 * somebody else, perhaps another restore, was faster.
 */
export function takenTwice(name: string): LowtideError {
  return new LowtideError(
    'target-exists',
    `there is a ${displayBytes(name)} already in a folder that this restore has made: something else writes there too, ` +
      'or this file system takes it for another name of the folder',
  );
}
