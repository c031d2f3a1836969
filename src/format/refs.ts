import type { BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';

/** One block that a snapshot needs. */
export interface Ref {
  readonly id: BlockId;
  /** Bytes of the whole block, header included: what it costs to move and to store. */
  readonly length: number;
}

/** A page of refs below another. */
export interface RefsChild extends Ref {
  /** Blocks named below, refs pages not counted. */
  readonly blocks: number;
  /** Sum of their lengths. */
  readonly bytes: number;
}

export type RefsPage =
  | { readonly kind: 'leaf'; readonly refs: readonly Ref[] }
  | { readonly kind: 'inner'; readonly level: number; readonly children: readonly RefsChild[] };

/** The top page of a snapshot's refs, as its manifest names it. */
export type RefsRoot = RefsChild;

const LEAF = 1;
const INNER = 2;
const TWO_TO_32 = 2 ** 32;

export function encodeRefsLeaf(refs: readonly Ref[]): Uint8Array {
  const writer = new ByteWriter(refs.length * 36 + 8);
  writer.u8(LEAF);
  writer.u32(refs.length);
  for (const ref of refs) {
    writer.hex(ref.id);
    writer.u32(ref.length);
  }
  return writer.slice();
}

/** @param level 1 if the children are leaves */
export function encodeRefsInner(level: number, children: readonly RefsChild[]): Uint8Array {
  const writer = new ByteWriter(children.length * 52 + 8);
  writer.u8(INNER);
  writer.u8(level);
  writer.u32(children.length);
  for (const child of children) {
    writer.hex(child.id);
    writer.u32(child.length);
    writer.u64(child.blocks);
    writer.u64(child.bytes);
  }
  return writer.slice();
}

/** @throws LowtideError `damaged-page` */
export function decodeRefsPage(payload: Uint8Array): RefsPage {
  const reader = new ByteReader(payload, 'damaged-page', 'a page of refs');
  const kind = reader.u8();
  if (kind === LEAF) {
    const count = reader.u32();
    const refs: Ref[] = [];
    for (let i = 0; i < count; i++) refs.push({ id: reader.hex(32) as BlockId, length: reader.u32() });
    reader.end();
    return { kind: 'leaf', refs };
  }
  if (kind !== INNER) throw reader.damaged('an unknown kind of page');
  const level = reader.u8();
  const count = reader.u32();
  if (level === 0 || count === 0) throw reader.damaged('an inner page without children');
  const children: RefsChild[] = [];
  for (let i = 0; i < count; i++) {
    const id = reader.hex(32) as BlockId;
    children.push({ id, length: reader.u32(), blocks: reader.safe64(), bytes: reader.safe64() });
  }
  reader.end();
  return { kind: 'inner', level, children };
}

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
 * below it too).
 */
export async function* walkRefs(
  root: Ref,
  load: LoadRefsPage,
  skip: (page: BlockId) => boolean = () => false,
): AsyncGenerator<RefsStep> {
  if (skip(root.id)) return;
  yield { kind: 'page', ref: { id: root.id, length: root.length } };
  const page = decodeRefsPage(await load(root.id));
  if (page.kind === 'leaf') yield { kind: 'blocks', refs: page.refs };
  else for (const child of page.children) yield* walkRefs(child, load, skip);
}

/**
 * The pages of a snapshot's refs without loading any leaf: an inner page names them. `skip` as in `walkRefs`; a
 * skipped page is given too, what is below it is not.
 */
async function* pagesOf(
  root: Ref,
  load: LoadRefsPage,
  skip: (page: BlockId) => boolean,
  isLeaf = false,
): AsyncGenerator<BlockId> {
  yield root.id;
  if (isLeaf || skip(root.id)) return;
  const page = decodeRefsPage(await load(root.id));
  if (page.kind === 'leaf') return;
  for (const child of page.children) yield* pagesOf(child, load, skip, page.level === 1);
}

/**
 * refs(S) minus refs(base), pages included, in order of first use: what must be spooled with S and may have to travel
 * (format F33). Loads the inner pages of both and the leaves in which they differ.
 */
export async function* newRefs(
  root: Ref,
  base: Ref | null,
  load: LoadRefsPage,
): AsyncGenerator<readonly Ref[]> {
  const basePages = new Set<BlockId>();
  const known = new Set<BlockId>();
  if (base !== null) {
    for await (const page of pagesOf(base, load, () => false)) basePages.add(page);
    const shared = new Set<BlockId>();
    for await (const page of pagesOf(root, load, (id) => basePages.has(id)))
      if (basePages.has(page)) shared.add(page);
    for await (const step of walkRefs(base, load, (id) => shared.has(id))) {
      if (step.kind === 'blocks') for (const ref of step.refs) known.add(ref.id);
    }
  }
  for await (const step of walkRefs(root, load, (id) => basePages.has(id))) {
    const refs = step.kind === 'page' ? [step.ref] : step.refs.filter((ref) => !known.has(ref.id));
    if (refs.length > 0) yield refs;
  }
}
