import { openBlock } from '../format/block.ts';
import type { KeyStore } from '../format/domain-keys.ts';
import { decodeTreePage, type TreeChild } from '../format/tree-page.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import type { BlockFetcher } from './block-fetcher.ts';
import { PayloadCache } from './payload-cache.ts';

/** Pages asked for at once at most: a walk over a far source must not wait for each page. */
const AHEAD_MAX = 32;
const CACHED_PAGES = 4;

interface Place {
  readonly row: readonly TreeChild[];
  readonly at: number;
}

/**
 * Loads pages of a snapshot's tree through a fetcher. Reads ahead the more the longer a walk goes on from page to
 * page, so a look-up costs a page a level and a walk a few calls.
 */
export class PageLoader {
  readonly #fetcher: BlockFetcher;
  readonly #keys: KeyStore;
  readonly #limits: Limits;
  readonly #cache: PayloadCache<Uint8Array>;
  /** The children of the inner page that was loaded last, by level. */
  readonly #rows = new Map<number, readonly TreeChild[]>();
  readonly #places = new Map<BlockId, Place>();
  #ahead = 1;
  #expected: BlockId | null = null;

  constructor(fetcher: BlockFetcher, keys: KeyStore, limits: Limits) {
    this.#fetcher = fetcher;
    this.#keys = keys;
    this.#limits = limits;
    this.#cache = new PayloadCache(CACHED_PAGES * limits.tree_page_bytes_max, (page) => page.length);
  }

  /** @throws LowtideError `block-unavailable`, `damaged-block`, `no-key`, `newer-format`, `interrupted` */
  async load(id: BlockId): Promise<Uint8Array> {
    const page = this.#cache.get(id) ?? (await this.#fetch(id));
    this.#learn(page);
    return page;
  }

  async #fetch(id: BlockId): Promise<Uint8Array> {
    const ids = this.#withNext(id);
    let found: Uint8Array | null = null;
    let lost: unknown = null;
    for await (const fetched of this.#fetcher.fetch(ids)) {
      try {
        if (fetched.kind === 'lost') throw fetched.error;
        const page = openBlock(this.#keys, fetched.bytes, 'tree', this.#limits.block_bytes_max);
        this.#cache.set(fetched.id, page);
        if (fetched.id === id) found = page;
      } catch (error) {
        // Of a page that was only read ahead it shows when its turn comes.
        if (fetched.id === id) lost = error;
      }
    }
    if (found !== null) return found;
    throw lost ?? new LowtideError('block-unavailable', 'a page of the tree was not answered');
  }

  /** The page and those after it that the walk is likely to come to. */
  #withNext(id: BlockId): BlockId[] {
    const place = this.#places.get(id);
    if (place === undefined) return [id];
    const goesOn = id === this.#expected;
    if (goesOn) this.#ahead = Math.min(this.#ahead * 2, AHEAD_MAX);
    else if (place.at > 0) this.#ahead = 1;
    const ids = new Set([id]);
    let bytes = 0;
    let at = place.at + 1;
    for (; ids.size < this.#ahead && at < place.row.length; at++) {
      const next = place.row[at]!;
      bytes += next.length;
      if (bytes > this.#limits.tree_page_bytes_max) break;
      if (!this.#cache.has(next.id)) ids.add(next.id);
    }
    this.#expected = place.row[at]?.id ?? null;
    return [...ids];
  }

  /** Remembers which pages follow each other. */
  #learn(payload: Uint8Array): void {
    if (payload[0] !== INNER_PAGE) return;
    let page;
    try {
      page = decodeTreePage(payload);
    } catch {
      return; // Whoever asked for it finds out too.
    }
    if (page.kind !== 'inner') return;
    for (const child of this.#rows.get(page.level) ?? []) this.#places.delete(child.id);
    this.#rows.set(page.level, page.children);
    for (const [at, child] of page.children.entries()) this.#places.set(child.id, { row: page.children, at });
  }
}

/** First byte of an inner page's payload (format F23). */
const INNER_PAGE = 2;
