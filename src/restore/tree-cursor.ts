import { compareKeys, decodeTreePage, keyOf, type TreeKey, type TreeRecord } from '../format/tree-page.ts';
import type { LoadPage } from '../format/tree-reader.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';

/** What comes next in a tree: a page that nobody has looked into yet, or a record. */
export type TreeStep =
  | { readonly kind: 'page'; readonly id: BlockId; readonly level: number; readonly last: TreeKey | null }
  | { readonly kind: 'record'; readonly record: TreeRecord; readonly last: TreeKey };

/** The level of the root page is only known once it is read. */
const UNKNOWN_LEVEL = 32;

/**
 * Goes through a tree page by page or record by record, so that whoever compares two trees can leave out what both
 * have. Keys only grow; a page that breaks this is damaged.
 */
export class TreeCursor {
  readonly #load: LoadPage;
  /** What is still to come, the next last. */
  readonly #ahead: TreeStep[];
  #passed: TreeKey | null = null;

  constructor(root: BlockId, load: LoadPage) {
    this.#load = load;
    this.#ahead = [{ kind: 'page', id: root, level: UNKNOWN_LEVEL, last: null }];
  }

  /** Null at the end. */
  get next(): TreeStep | null {
    return this.#ahead.at(-1) ?? null;
  }

  /** Leaves out the next page or record. */
  skip(): void {
    this.#passed = this.#ahead.pop()?.last ?? this.#passed;
  }

  /**
   * Replaces the next page by what is in it.
   * @throws LowtideError as the loading of a page, and `damaged-page`
   */
  async open(): Promise<void> {
    const step = this.#ahead.pop();
    if (step?.kind !== 'page') throw new TypeError('only a page can be opened');
    const page = decodeTreePage(await this.#load(step.id));
    if (page.kind === 'inner' && page.level >= step.level) throw misplaced();
    const steps: TreeStep[] =
      page.kind === 'leaf'
        ? page.records.map((record) => ({ kind: 'record', record, last: keyOf(record) }))
        : page.children.map(({ id, last }) => ({ kind: 'page', id, level: page.level, last }));
    const [first, end] = [steps[0]?.last ?? null, steps.at(-1)?.last ?? null];
    const grows = first === null || this.#passed === null || compareKeys(this.#passed, first) < 0;
    const fits = step.last === null || (end !== null && compareKeys(end, step.last) === 0);
    if (!grows || !fits) throw misplaced();
    for (const next of steps.reverse()) this.#ahead.push(next);
  }
}

const misplaced = (): LowtideError =>
  new LowtideError('damaged-page', 'a page of the tree holds other keys than the page above says');
