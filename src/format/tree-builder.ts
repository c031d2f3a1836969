import { hash } from 'node:crypto';
import type { BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import { PATH_BYTES_MAX } from '../model/paths.ts';
import type { DomainKeys } from './domain-keys.ts';
import { LEAF_HEAD_BYTES, type LeafView } from './leaf-view.ts';
import { LeafWriter, type PathRange, type PlainFile } from './leaf-writer.ts';
import {
  compareKeys,
  encodeInnerPage,
  keyOf,
  type TreeChild,
  type TreeKey,
  type TreeRecord,
} from './tree-page.ts';

/** Seals a page's payload, keeps it, and says what it became. */
export type StorePage = (payload: Uint8Array) => Promise<StoredPage>;

export interface StoredPage {
  readonly id: BlockId;
  /** Bytes of the whole block. */
  readonly length: number;
}

/** The tree's top page: its own name is not inside it. */
export interface TreeRoot extends StoredPage {
  readonly entries: number;
  readonly bytes: number;
}

/** Sparse files can be of any size: what does not fit is told as the most that does (format F24). */
export function boundedSum(a: number, b: number): number {
  return Math.min(a + b, Number.MAX_SAFE_INTEGER);
}

const TWO_TO_32 = 2 ** 32;
/** Level and offset. */
const KEY_HEAD_BYTES = 9;
/** What a child costs beside its path, about: for the bound of an inner page (format F23). */
const INNER_CHILD_BYTES = 64;

/**
 * Says where pages end: by a keyed hash of the key alone, so a changed time or size moves nothing (format F22).
 * Level 0 is leaves.
 */
export class PageEnds {
  /** The key, and room for what is hashed with it. */
  readonly #text: Buffer;
  readonly #keyLength: number;
  readonly #threshold: number;

  constructor(keys: DomainKeys, limits: Limits) {
    this.#keyLength = keys.page.length;
    this.#text = Buffer.alloc(this.#keyLength + KEY_HEAD_BYTES + PATH_BYTES_MAX);
    this.#text.set(keys.page);
    this.#threshold = TWO_TO_32 / limits.tree_page_entries_average;
  }

  endsAfter(level: number, { path, offset }: TreeKey): boolean {
    const text = this.#text;
    let at = this.#keyLength;
    text[at++] = level;
    at = text.writeUInt32BE(Math.floor(offset / TWO_TO_32), at);
    at = text.writeUInt32BE(offset % TWO_TO_32, at);
    at += text.write(path, at, 'latin1');
    // As a string, which is made in a third of the time that a Buffer takes.
    const digest = hash('sha256', text.subarray(0, at), 'latin1');
    let first = 0;
    for (let byte = 0; byte < 4; byte++) first = first * 256 + digest.charCodeAt(byte);
    return first < this.#threshold;
  }
}

/** An inner page that is not closed yet. */
interface OpenPage {
  readonly children: TreeChild[];
  /** About what the page will take. */
  size: number;
}

/** Makes the pages of a tree from records in key order, keeping one open page a level. */
export class TreeBuilder {
  readonly #ends: PageEnds;
  readonly #limits: Limits;
  readonly #store: StorePage;
  readonly #leaf = new LeafWriter();
  readonly #levels: OpenPage[] = [];
  #last: TreeKey | null = null;
  #entries = 0;
  #bytes = 0;

  constructor(keys: DomainKeys, limits: Limits, store: StorePage) {
    this.#ends = new PageEnds(keys, limits);
    this.#limits = limits;
    this.#store = store;
  }

  /** Resolves at once unless a page was closed. Records must come in key order; the builder asserts it. */
  add(record: TreeRecord): Promise<void> | undefined {
    const key = keyOf(record);
    this.#follow(key);
    this.#last = key;
    this.#leaf.add(record);
    if (record.kind === 'entry') {
      this.#entries++;
      if (record.entry.type === 'file') this.#bytes = boundedSum(this.#bytes, record.entry.size);
    }
    return this.#leafEnds(key) ? this.#closeLeaf(key) : undefined;
  }

  /** The same as `add` for a file of one name. */
  addPlain(file: PlainFile): Promise<void> | undefined {
    const key = { path: file.path, offset: 0 };
    this.#follow(key);
    this.#last = key;
    this.#leaf.addPlain(file);
    this.#entries++;
    this.#bytes = boundedSum(this.#bytes, file.size);
    return this.#leafEnds(key) ? this.#closeLeaf(key) : undefined;
  }

  /**
   * How many records from `from` on can be taken together: the leaf that they go into does not end before the last of
   * them. Of a page under the same keys, which ended after its last record and nowhere before.
   */
  runEnd({ starts }: LeafView, from: number, to: number): number {
    const isFull =
      this.#leaf.count + to - from >= this.#limits.tree_page_entries_max ||
      this.#leaf.length + PATH_BYTES_MAX + starts[to]! - starts[from]! >= this.#limits.tree_page_bytes_max;
    return isFull ? from + 1 : to;
  }

  /** The same as `add` for each of the records that `runEnd` allows. */
  addRun(view: LeafView, from: number, to: number, paths: PathRange): Promise<void> | undefined {
    this.#leaf.addRun(view, from, to, paths);
    return this.#endRun(view, from, to, paths) ? this.#closeLeaf(this.#last!) : undefined;
  }

  /**
   * Whether a whole page can stay as it is: nothing is open before it, and it would end where it did. Then
   * `keepPage` takes it.
   */
  wouldKeep(view: LeafView): boolean {
    if (this.#leaf.count > 0 || view.last === null) return false;
    return this.#endsAt(view.count, view.payload.length - LEAF_HEAD_BYTES, view.last);
  }

  async keepPage(view: LeafView, page: StoredPage): Promise<void> {
    this.#follow(view.first!);
    this.#last = view.last;
    const { files, directories, others, bytes } = view.tally(0, view.count);
    const entries = files + directories + others;
    await this.#addChild(1, { last: view.last!, ...page, entries, bytes });
  }

  /** Whether the leaf ends after these records. */
  #endRun(view: LeafView, from: number, to: number, { first, last }: PathRange): boolean {
    this.#follow({ path: first, offset: 0 });
    const { files, directories, others, bytes } = view.tally(from, to);
    this.#entries += files + directories + others;
    this.#bytes = boundedSum(this.#bytes, bytes);
    this.#last = { path: last, offset: 0 };
    if (to === view.count) return this.#leafEnds(this.#last);
    return this.#isLeafFull(this.#leaf.count, this.#leaf.length);
  }

  /** Closes everything. An empty tree is one empty leaf. */
  async finish(): Promise<TreeRoot> {
    if (this.#leaf.count > 0 || this.#levels.length === 0) {
      await this.#closeLeaf(this.#last ?? { path: '' as TreeKey['path'], offset: 0 });
    }
    for (let level = 1; ; level++) {
      const { children } = this.#levels[level]!;
      if (this.#levels.length === level + 1 && children.length === 1) {
        const { id, length, entries, bytes } = children[0]!;
        return { id, length, entries, bytes };
      }
      if (children.length > 0) await this.#closeInner(level);
    }
  }

  #follow(key: TreeKey): void {
    if (this.#last === null || compareKeys(this.#last, key) < 0) return;
    throw new TypeError(
      `tree records must be in key order: ${JSON.stringify(key)} after ${JSON.stringify(this.#last)}`,
    );
  }

  #leafEnds(key: TreeKey): boolean {
    return this.#endsAt(this.#leaf.count, this.#leaf.length, key);
  }

  #endsAt(count: number, length: number, key: TreeKey): boolean {
    return this.#isLeafFull(count, length) || this.#ends.endsAfter(0, key);
  }

  #isLeafFull(count: number, length: number): boolean {
    return count >= this.#limits.tree_page_entries_max || length >= this.#limits.tree_page_bytes_max;
  }

  async #closeLeaf(last: TreeKey): Promise<void> {
    const page = await this.#store(this.#leaf.finish());
    const child = { last, ...page, entries: this.#entries, bytes: this.#bytes };
    this.#entries = 0;
    this.#bytes = 0;
    await this.#addChild(1, child);
  }

  /** An inner page has at least two children, unless it is the last of its level: so levels always shrink. */
  async #addChild(level: number, child: TreeChild): Promise<void> {
    const open = (this.#levels[level] ??= { children: [], size: 0 });
    open.children.push(child);
    open.size += child.last.path.length + INNER_CHILD_BYTES;
    const full =
      open.children.length >= this.#limits.tree_page_entries_max ||
      open.size >= this.#limits.tree_page_bytes_max;
    if (open.children.length > 1 && (full || this.#ends.endsAfter(level, child.last)))
      await this.#closeInner(level);
  }

  async #closeInner(level: number): Promise<void> {
    const { children } = this.#levels[level]!;
    this.#levels[level] = { children: [], size: 0 };
    const page = await this.#store(encodeInnerPage(level, children));
    await this.#addChild(level + 1, {
      last: children.at(-1)!.last,
      ...page,
      entries: children.reduce((sum, child) => sum + child.entries, 0),
      bytes: children.reduce((sum, child) => boundedSum(sum, child.bytes), 0),
    });
  }
}
