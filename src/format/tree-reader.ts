import { LowtideError } from '../model/errors.ts';
import type { Entry } from '../model/entries.ts';
import type { BlockId } from '../model/ids.ts';
import { afterSubtree, isWithin, type PathKey } from '../model/paths.ts';
import {
  compareKeys,
  decodeTreePage,
  keyOf,
  type TreeChild,
  type TreeKey,
  type TreePage,
  type TreeRecord,
} from './tree-page.ts';

/** The opened payload of a tree block. */
export type LoadPage = (id: BlockId) => Promise<Uint8Array>;

/** A part of the tree that cannot be read: everything after `after` (null: from the start) up to `last` is unknown. */
export interface LostPage {
  readonly id: BlockId;
  readonly last: TreeKey | null;
  readonly error: unknown;
}

/** Bounds of a walk: keys from `from` (included) to `before` (excluded). */
interface Range {
  readonly from: TreeKey;
  readonly before: TreeKey | null;
}

const LEVELS_MAX = 32;

/** Reads a tree page by page; holds one page a level. */
export class TreeReader {
  readonly #root: BlockId;
  readonly #load: LoadPage;
  readonly #lost: ((page: LostPage) => void) | undefined;

  /** @param lost called for a page that cannot be loaded or decoded, and the walk goes on; without it the walk throws */
  constructor(root: BlockId, load: LoadPage, lost?: (page: LostPage) => void) {
    this.#root = root;
    this.#load = load;
    this.#lost = lost;
  }

  /** Records of the whole tree in key order, a leaf at a time. */
  records(from: PathKey = '' as PathKey): AsyncGenerator<readonly TreeRecord[]> {
    return this.#walk(this.#root, { from: { path: from, offset: 0 }, before: null }, null, LEVELS_MAX);
  }

  /** Records of `path` and everything within it. */
  async *subtree(path: PathKey): AsyncGenerator<readonly TreeRecord[]> {
    const range = { from: { path, offset: 0 }, before: { path: afterSubtree(path), offset: 0 } };
    for await (const records of this.#walk(this.#root, range, null, LEVELS_MAX)) {
      const within = records.filter((record) => isWithin(keyOf(record).path, path));
      if (within.length > 0) yield within;
    }
  }

  /** The entry of exactly this path, with its first extents only. */
  async find(path: PathKey): Promise<Entry | null> {
    for await (const records of this.subtree(path)) {
      const first = records[0]!;
      return first.kind === 'entry' && first.entry.path === path ? first.entry : null;
    }
    return null;
  }

  async *#walk(
    id: BlockId,
    range: Range,
    child: TreeChild | null,
    levels: number,
  ): AsyncGenerator<readonly TreeRecord[]> {
    const page = await this.#page(id, child, levels);
    if (page === null) return;
    if (page.kind === 'leaf') {
      const records = page.records.filter((record) => inRange(keyOf(record), range));
      if (records.length > 0) yield records;
      return;
    }
    let start: TreeKey | null = null;
    for (const next of page.children) {
      const beyond = start !== null && range.before !== null && compareKeys(start, range.before) >= 0;
      if (beyond) return;
      if (compareKeys(next.last, range.from) >= 0) yield* this.#walk(next.id, range, next, page.level);
      start = next.last;
    }
  }

  async #page(id: BlockId, child: TreeChild | null, levels: number): Promise<TreePage | null> {
    try {
      const page = decodeTreePage(await this.#load(id));
      if (page.kind === 'inner' && page.level >= levels) {
        throw new LowtideError('damaged-page', 'an inner page stands below one of its own level');
      }
      return page;
    } catch (error) {
      if (this.#lost === undefined) throw error;
      this.#lost({ id, last: child?.last ?? null, error });
      return null;
    }
  }
}

function inRange(key: TreeKey, range: Range): boolean {
  if (compareKeys(key, range.from) < 0) return false;
  return range.before === null || compareKeys(key, range.before) < 0;
}
