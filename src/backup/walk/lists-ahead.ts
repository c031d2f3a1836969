import { isLowtideError, type LowtideError } from '../../model/errors.ts';
import type { PathKey } from '../../model/paths.ts';
import { packEntries } from '../../world/source/packed-entries.ts';
import type { Files, Listing } from '../../world/ports.ts';
import { later } from '../ahead.ts';

/** Directories that are asked for together. */
const TOGETHER = 12;
/** Directories ahead of the walk, on all levels: bounds what their listings take. */
const AHEAD_MAX = 64;

type Listed = Listing | LowtideError;

/** Directories that the walk will come to, listed ahead of it, many in one go. */
export class ListsAhead {
  readonly #files: Files;
  readonly #coming = new Map<PathKey, Promise<Listed | undefined>>();
  /** How many are ahead in each directory. */
  readonly #inside = new Map<PathKey, number>();

  constructor(files: Files) {
    this.#files = files;
  }

  /** How many may be asked for now. */
  get room(): number {
    return Math.max(1, Math.min(TOGETHER, AHEAD_MAX - this.#coming.size));
  }

  has(path: PathKey): boolean {
    return this.#coming.has(path);
  }

  /** Whether it is time to ask for more of what is in a directory. */
  wantsMore(parent: PathKey): boolean {
    const inside = this.#inside.get(parent) ?? 0;
    return inside === 0 || (inside <= 2 * TOGETHER && this.#coming.size < AHEAD_MAX);
  }

  /** Begins to list these, which are in `parent`. */
  ask(parent: PathKey, paths: readonly PathKey[]): void {
    if (paths.length === 0) return;
    const listed = later(this.#list(paths));
    for (const [at, path] of paths.entries())
      this.#coming.set(path, later(listed.then((found) => found[at])));
    this.#inside.set(parent, (this.#inside.get(parent) ?? 0) + paths.length);
  }

  /** What is in a directory, or why that cannot be known. It need not have been asked for. */
  async take(parent: PathKey, path: PathKey): Promise<Listed> {
    const coming = this.#coming.get(path);
    if (coming !== undefined) {
      this.#coming.delete(path);
      const left = this.#inside.get(parent)! - 1;
      if (left > 0) this.#inside.set(parent, left);
      else this.#inside.delete(parent);
    }
    return (await coming) ?? (await this.#list([path]))[0]!;
  }

  async #list(paths: readonly PathKey[]): Promise<readonly (Listed | undefined)[]> {
    const files = this.#files;
    return files.list === undefined ? await listByScan(files, paths) : await files.list(paths);
  }
}

/** Files.list of a World that has none. */
export async function listByScan(
  files: Pick<Files, 'scan'>,
  paths: readonly PathKey[],
): Promise<readonly Listed[]> {
  return await Promise.all(
    paths.map(async (path) => {
      try {
        const { entries, problems } = await files.scan(path);
        return { first: packEntries(entries, problems), next: async () => null };
      } catch (error) {
        if (isLowtideError(error, 'not-found', 'source-unreadable')) return error;
        throw error;
      }
    }),
  );
}
