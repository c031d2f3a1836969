import { LowtideError } from '../model/errors.ts';
import type { Entry } from '../model/entries.ts';
import type { BlockId } from '../model/ids.ts';
import { afterSubtree, isWithin, type PathKey } from '../model/paths.ts';
import { LeafView } from './leaf-view.ts';
import {
  compareKeys,
  decodeTreePage,
  isLeafPage,
  keyOf,
  type TreeChild,
  type TreeKey,
  type TreePage,
  type TreeRecord,
} from './tree-page.ts';

/** Where a page stands among its siblings. */
export interface PageRow {
  readonly children: readonly TreeChild[];
  readonly at: number;
}

/**
 * The opened payload of a tree block.
 * @param row of a walk that comes to all pages behind it in the row
 */
export type LoadPage = (id: BlockId, row?: PageRow) => Promise<Uint8Array>;

/**
 * A part of the tree that cannot be read: everything after `after` (null: from the start) up to `last` (null: to the
 * end) is unknown.
 */
export interface LostPage {
  readonly id: BlockId;
  readonly after: TreeKey | null;
  readonly last: TreeKey | null;
  readonly error: unknown;
}

/** Bounds of a walk: keys from `from` (included) to `before` (excluded). */
interface Range {
  readonly from: TreeKey;
  readonly before: TreeKey | null;
}

/** What the page above says of a page: its keys come after `after`, and `last` is the last of them. Null: not known. */
interface Place {
  readonly after: TreeKey | null;
  readonly last: TreeKey | null;
}

const LEVELS_MAX = 32;
const ANYWHERE: Place = { after: null, last: null };

/**
 * Reads a tree page by page; holds one page a level. Whatever the pages say, keys only grow: a page that does not fit
 * its place is a damaged one, so that no tree makes a walk go on for ever.
 */
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
    return this.#walk(this.#root, { from: { path: from, offset: 0 }, before: null }, ANYWHERE, LEVELS_MAX);
  }

  /** The leaves of the whole tree in key order, as they are, each with the block that it is. */
  leaves(): AsyncGenerator<ReadLeaf> {
    return this.#leaves(this.#root, ANYWHERE, LEVELS_MAX);
  }

  /** Records of `path` and everything within it. */
  async *subtree(path: PathKey): AsyncGenerator<readonly TreeRecord[]> {
    const range = { from: { path, offset: 0 }, before: { path: afterSubtree(path), offset: 0 } };
    for await (const records of this.#walk(this.#root, range, ANYWHERE, LEVELS_MAX)) {
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
    place: Place,
    levels: number,
  ): AsyncGenerator<readonly TreeRecord[]> {
    const page = await this.#page(id, place, levels, decodeTreePage);
    if (page === null) return;
    if (page.kind === 'leaf') {
      const records = page.records.filter((record) => inRange(keyOf(record), range));
      if (records.length > 0) yield records;
      return;
    }
    let after = place.after;
    for (const { id, last } of page.children) {
      const beyond = after !== null && range.before !== null && compareKeys(after, range.before) >= 0;
      if (beyond) return;
      if (compareKeys(last, range.from) >= 0) yield* this.#walk(id, range, { after, last }, page.level);
      after = last;
    }
  }

  async *#leaves(id: BlockId, place: Place, levels: number, row?: PageRow): AsyncGenerator<ReadLeaf> {
    const page = await this.#page(id, place, levels, viewTreePage, row);
    if (page === null) return;
    if (page.kind === 'view') {
      yield { id, view: page.view };
      return;
    }
    let after = place.after;
    for (const [at, { id, last }] of page.children.entries()) {
      yield* this.#leaves(id, { after, last }, page.level, { children: page.children, at });
      after = last;
    }
  }

  async #page<Page extends TreePage | ViewedPage>(
    id: BlockId,
    place: Place,
    levels: number,
    decode: (payload: Uint8Array) => Page,
    row?: PageRow,
  ): Promise<Page | null> {
    try {
      const page = decode(await this.#load(id, row));
      if (page.kind === 'inner' && page.level >= levels) {
        throw new LowtideError('damaged-page', 'an inner page stands below one of its own level');
      }
      checkPlace(page, place);
      return page;
    } catch (error) {
      if (this.#lost === undefined) throw error;
      this.#lost({ id, ...place, error });
      return null;
    }
  }
}

/** A leaf page in its place. */
export interface ReadLeaf {
  readonly id: BlockId;
  readonly view: LeafView;
}

type ViewedPage =
  | { readonly kind: 'view'; readonly view: LeafView }
  | Extract<TreePage, { readonly kind: 'inner' }>;

function viewTreePage(payload: Uint8Array): ViewedPage {
  if (isLeafPage(payload)) return { kind: 'view', view: new LeafView(payload) };
  const page = decodeTreePage(payload);
  if (page.kind === 'inner') return page;
  throw new TypeError('a page that is both');
}

/** Its first and last key; null if it has none. */
function endsOf(page: TreePage | ViewedPage): readonly [TreeKey | null, TreeKey | null] {
  if (page.kind === 'view') return [page.view.first, page.view.last];
  if (page.kind === 'inner') return [page.children[0]!.last, page.children.at(-1)!.last];
  const [first, last] = [page.records[0], page.records.at(-1)];
  return [first === undefined ? null : keyOf(first), last === undefined ? null : keyOf(last)];
}

function inRange(key: TreeKey, range: Range): boolean {
  if (compareKeys(key, range.from) < 0) return false;
  return range.before === null || compareKeys(key, range.before) < 0;
}

function checkPlace(page: TreePage | ViewedPage, { after, last }: Place): void {
  const [first, end] = endsOf(page);
  const starts = after === null || (first !== null && compareKeys(first, after) > 0);
  const ends = last === null || (end !== null && compareKeys(end, last) === 0);
  if (!starts || !ends) {
    throw new LowtideError('damaged-page', 'a page of the tree holds other keys than the page above says');
  }
}
