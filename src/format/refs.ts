import { LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import {
  decodeRefsPage,
  encodeRefsInner,
  encodeRefsLeaf,
  type Ref,
  type RefsChild,
  type RefsPage,
  type RefsRoot,
} from './refs-page.ts';

export {
  decodeRefsPage,
  encodeRefsInner,
  encodeRefsLeaf,
  type Ref,
  type RefsChild,
  type RefsPage,
  type RefsRoot,
} from './refs-page.ts';

const TWO_TO_32 = 2 ** 32;

/** Keeps a refs page (a clear block) and says what it became. */
export type StoreRefsPage = (payload: Uint8Array) => Promise<Ref>;

/**
 * Makes the pages of a snapshot's refs from its blocks in order of first use; the caller names each block once.
 * Pages end where the id just added says so (format F31), so one change moves one page.
 */
export class RefsBuilder {
  readonly #limits: Limits;
  readonly #store: StoreRefsPage;
  readonly #threshold: number;
  #leaf: Ref[] = [];
  readonly #levels: RefsChild[][] = [];

  constructor(limits: Limits, store: StoreRefsPage) {
    this.#limits = limits;
    this.#store = store;
    this.#threshold = TWO_TO_32 / limits.refs_page_entries_average;
  }

  add(ref: Ref): Promise<void> | undefined {
    this.#leaf.push(ref);
    return this.#ends(ref.id, this.#leaf.length) ? this.#closeLeaf() : undefined;
  }

  async finish(): Promise<RefsRoot> {
    if (this.#leaf.length > 0 || this.#levels.length === 0) await this.#closeLeaf();
    for (let level = 0; ; level++) {
      const children = this.#levels[level]!;
      if (this.#levels.length === level + 1 && children.length === 1) return children[0]!;
      if (children.length > 0) await this.#closeInner(level);
    }
  }

  #ends(id: BlockId, count: number): boolean {
    return (
      count >= this.#limits.refs_page_entries_max || Number.parseInt(id.slice(0, 8), 16) < this.#threshold
    );
  }

  async #closeLeaf(): Promise<void> {
    const refs = this.#leaf;
    this.#leaf = [];
    const page = await this.#store(encodeRefsLeaf(refs));
    await this.#addChild(0, { ...page, blocks: refs.length, bytes: sumOf(refs, (ref) => ref.length) });
  }

  async #addChild(level: number, child: RefsChild): Promise<void> {
    const children = (this.#levels[level] ??= []);
    children.push(child);
    if (children.length > 1 && this.#ends(child.id, children.length)) await this.#closeInner(level);
  }

  async #closeInner(level: number): Promise<void> {
    const children = this.#levels[level]!;
    this.#levels[level] = [];
    const page = await this.#store(encodeRefsInner(level + 1, children));
    await this.#addChild(level + 1, {
      ...page,
      blocks: sumOf(children, (child) => child.blocks),
      bytes: sumOf(children, (child) => child.bytes),
    });
  }
}

function sumOf<T>(items: readonly T[], measure: (item: T) => number): number {
  return items.reduce((sum, item) => sum + measure(item), 0);
}

/** The payload of a refs block, already checked against its id. */
export type LoadRefsPage = (id: BlockId) => Promise<Uint8Array>;

/** What a walk over refs gives: each refs page before what is on it. */
export type RefsStep =
  | { readonly kind: 'page'; readonly ref: Ref }
  | { readonly kind: 'blocks'; readonly refs: readonly Ref[] };

/**
 * Walks refs in order, leaving out every page for which `skip` says true (because the base has it: then it has all
 * below it too). A page that is not what the page above announces is refused, so that the walk costs no more than the
 * manifest's own counts say, whoever wrote the pages (format F32).
 */
export async function* walkRefs(
  root: RefsRoot,
  load: LoadRefsPage,
  skip: (page: BlockId) => boolean = () => false,
): AsyncGenerator<RefsStep> {
  yield* walk(root, null, load, skip);
}

async function* walk(
  place: RefsChild,
  level: number | null,
  load: LoadRefsPage,
  skip: (page: BlockId) => boolean,
): AsyncGenerator<RefsStep> {
  if (skip(place.id)) return;
  yield { kind: 'page', ref: { id: place.id, length: place.length } };
  const page = await loadPage(place, level, load);
  if (page.kind === 'leaf') yield { kind: 'blocks', refs: page.refs };
  else for (const child of page.children) yield* walk(child, page.level - 1, load, skip);
}

/** @param level 0 for a leaf; null if not known, because it is the root */
async function loadPage(place: RefsChild, level: number | null, load: LoadRefsPage): Promise<RefsPage> {
  const page = decodeRefsPage(await load(place.id));
  const found = page.kind === 'leaf' ? 0 : page.level;
  let blocks = 0;
  let bytes = 0;
  if (page.kind === 'leaf') {
    blocks = page.refs.length;
    for (const ref of page.refs) bytes += ref.length;
  } else {
    for (const child of page.children) {
      blocks += child.blocks;
      bytes += child.bytes;
    }
  }
  const empty = blocks === 0 && level !== null;
  if ((level !== null && found !== level) || blocks !== place.blocks || bytes !== place.bytes || empty) {
    throw new LowtideError('damaged-page', 'a page of refs is not what the page above it announces');
  }
  return page;
}

/**
 * The pages of a snapshot's refs without loading any leaf: an inner page names them. `skip` as in `walkRefs`; a
 * skipped page is given too, what is below it is not.
 */
export async function* pagesOf(
  root: RefsRoot,
  load: LoadRefsPage,
  skip: (page: BlockId) => boolean = () => false,
): AsyncGenerator<BlockId> {
  yield* pagesFrom(root, null, load, skip);
}

async function* pagesFrom(
  place: RefsChild,
  level: number | null,
  load: LoadRefsPage,
  skip: (page: BlockId) => boolean,
): AsyncGenerator<BlockId> {
  yield place.id;
  if (level === 0 || skip(place.id)) return;
  const page = await loadPage(place, level, load);
  if (page.kind === 'leaf') return;
  for (const child of page.children) yield* pagesFrom(child, page.level - 1, load, skip);
}

/**
 * refs(S) minus refs(base), pages included, in order of first use: what must be spooled with S and may have to travel
 * (format F33). Loads the inner pages of both, which it keeps meanwhile, and the leaves in which they differ.
 */
export async function* newRefs(
  root: RefsRoot,
  base: RefsRoot | null,
  load: LoadRefsPage,
): AsyncGenerator<readonly Ref[]> {
  const basePages = new Set<BlockId>();
  const known = new Set<BlockId>();
  const inner = new Map<BlockId, Uint8Array>();
  const loadOnce = async (id: BlockId): Promise<Uint8Array> => inner.get(id) ?? (await load(id));
  const loadInner = async (id: BlockId): Promise<Uint8Array> => {
    const page = await loadOnce(id);
    inner.set(id, page);
    return page;
  };
  if (base !== null) {
    for await (const page of pagesOf(base, loadInner)) basePages.add(page);
    const shared = new Set<BlockId>();
    for await (const page of pagesOf(root, loadInner, (id) => basePages.has(id)))
      if (basePages.has(page)) shared.add(page);
    for await (const step of walkRefs(base, loadOnce, (id) => shared.has(id))) {
      if (step.kind === 'blocks') for (const ref of step.refs) known.add(ref.id);
    }
  }
  for await (const step of walkRefs(root, loadOnce, (id) => basePages.has(id))) {
    const refs = step.kind === 'page' ? [step.ref] : step.refs.filter((ref) => !known.has(ref.id));
    if (refs.length > 0) yield refs;
  }
}
