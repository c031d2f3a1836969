import type { LeafView } from '../../format/leaf-view.ts';
import type { TreeRecord } from '../../format/tree-page.ts';
import type { ReadLeaf } from '../../format/tree-reader.ts';
import { PATH_BYTES_MAX, type PathKey } from '../../model/paths.ts';
import { ahead, type Background } from '../ahead.ts';
import type { Base, SealedPage } from './tree.ts';

const LEAVES_AHEAD = 4;

/** A leaf of the base. */
export interface BasePage {
  readonly view: LeafView;
  /** The block that it is, if it is under the keys that are in use now: only such records can be copied. */
  readonly sealed: SealedPage | null;
}

/** A path as bytes, in memory that is used again and again. */
export class PathBytes {
  readonly bytes = Buffer.allocUnsafeSlow(PATH_BYTES_MAX + 512);
  length = 0;

  set(path: PathKey): void {
    this.length = this.bytes.write(path, 'latin1');
  }

  /** Keeps `shared` bytes and puts others behind them. */
  replace(shared: number, from: Uint8Array, start: number, end: number): void {
    const { bytes } = this;
    for (let at = start, to = shared; at < end; at++, to++) bytes[to] = from[at]!;
    this.length = shared + end - start;
  }

  /** Negative if this comes first. */
  compare(other: PathBytes): number {
    const most = Math.min(this.length, other.length);
    for (let at = 0; at < most; at++) {
      const difference = this.bytes[at]! - other.bytes[at]!;
      if (difference !== 0) return difference;
    }
    return this.length - other.length;
  }
}

/** Reads the records of the base in key order beside the walk. Without a promise while it stays on a page. */
export class BaseCursor {
  readonly #base: Base;
  readonly #leaves: AsyncGenerator<ReadLeaf>;
  readonly #path = new PathBytes();
  readonly #sought = new PathBytes();
  #record: TreeRecord | null = null;
  #ended = false;
  page: BasePage | null = null;
  /** Number of the record on its page. */
  at = 0;

  /** @param background where what is read ahead ends */
  constructor(base: Base, background: Background) {
    this.#base = base;
    this.#leaves = ahead(base.tree.leaves(), LEAVES_AHEAD, background);
  }

  /** Nothing more is read. */
  async close(): Promise<void> {
    await this.#leaves.return(undefined);
  }

  get isThere(): boolean {
    return this.page !== null && this.at < this.page.view.count;
  }

  /** Whether the record is of this path. */
  isAt(path: PathBytes): boolean {
    return this.isThere && this.#path.compare(path) === 0;
  }

  /** The record that it stands at; null if a page must be loaded first, or at the end. */
  get current(): TreeRecord | null {
    if (!this.isThere) return null;
    const path = this.#path.bytes.toString('latin1', 0, this.#path.length) as PathKey;
    return (this.#record ??= this.page!.view.recordAt(this.at, path));
  }

  step(): void {
    this.#goTo(this.at + 1);
  }

  /** Goes to the first record at or after a path. */
  seek(path: PathKey): Promise<void> | undefined {
    this.#sought.set(path);
    return this.seekBytes(this.#sought);
  }

  /** @param path must stay as it is until the promise, if there is one, resolves */
  seekBytes(path: PathBytes): Promise<void> | undefined {
    this.#skip(path);
    return this.isThere || this.#ended ? undefined : this.#load(path);
  }

  #skip(path: PathBytes): void {
    while (this.isThere && this.#path.compare(path) < 0) this.step();
  }

  #goTo(at: number): void {
    this.at = at;
    this.#record = null;
    if (!this.isThere) return;
    const { shared, names, bodies, payload } = this.page!.view;
    this.#path.replace(shared[at]!, payload, names[at]!, bodies[at]!);
  }

  async #load(path: PathBytes): Promise<void> {
    while (!this.isThere && !this.#ended) {
      const next = await this.#leaves.next();
      this.#ended = next.done === true;
      this.page =
        next.done === true
          ? null
          : { view: next.value.view, sealed: this.#base.treePages.sealed(next.value.id) };
      this.#goTo(0);
      this.#skip(path);
    }
  }
}
