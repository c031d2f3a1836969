import { clearBlock, sealBlock } from '../../format/block.ts';
import type { DomainKeys } from '../../format/domain-keys.ts';
import type { LeafView } from '../../format/leaf-view.ts';
import { type Ref, RefsBuilder, type RefsRoot } from '../../format/refs.ts';
import { type StoredPage, TreeBuilder, type TreeRoot } from '../../format/tree-builder.ts';
import type { TreeRecord } from '../../format/tree-page.ts';
import type { Extent } from '../../model/entries.ts';
import { LowtideError } from '../../model/errors.ts';
import type { BlockId, ChunkDigest } from '../../model/ids.ts';
import type { Limits } from '../../model/limits.ts';
import type { RecentPages } from '../base/tree.ts';
import type { FoundFile } from '../read/found-file.ts';
import type { CarriedRun } from '../steps.ts';
import { type BlockTable, IN_BASE, IN_REFS, STORED } from '../blocks/block-table.ts';
import type { NewBlocks } from '../blocks/new-blocks.ts';
import { PackedKeys } from '../chunks/packed-keys.ts';
import { LiveBytes } from '../blocks/sparse-blocks.ts';

const ID_BYTES = 32;

export interface TreeOutputParts {
  readonly limits: Limits;
  readonly keys: DomainKeys;
  readonly level: number;
  readonly table: BlockTable;
  /** Of pages of tree and refs. */
  readonly writer: NewBlocks;
  readonly baseRefsPages: PackedKeys | null;
  /** Pages of the base's tree that were read lately. */
  readonly baseTreePages: RecentPages | null;
}

/** The content of a small file: in a block by its number, or in the tree itself. */
export type FoundContent =
  | {
      readonly kind: 'chunk';
      readonly block: number;
      readonly offset: number;
      readonly length: number;
      readonly digest: ChunkDigest;
    }
  | Exclude<Extent, { readonly kind: 'data' }>;

/**
 * Makes the tree and the refs of a snapshot from its records. Refs are in order of first use: the blocks of a leaf's
 * records, then the leaf, an inner page after its children (format F30). What the base has is not written again.
 */
export class TreeOutput {
  readonly #parts: TreeOutputParts;
  readonly #tree: TreeBuilder;
  readonly #refs: RefsBuilder;
  readonly #refsPages = new PackedKeys();
  #lastBlock: { readonly number: number; readonly id: BlockId } = { number: -1, id: '' as BlockId };
  /** How much of each block the snapshot uses. */
  readonly live: LiveBytes;

  constructor(parts: TreeOutputParts) {
    this.#parts = parts;
    this.live = new LiveBytes(parts.limits.chunk_bytes_min);
    this.#tree = new TreeBuilder(parts.keys, parts.limits, (payload) => this.#storeTreePage(payload));
    this.#refs = new RefsBuilder(parts.limits, (payload) => this.#storeRefsPage(payload));
  }

  /** A promise if there is something to wait for before the next. */
  add(record: TreeRecord): Promise<void> | undefined {
    const extents = record.kind === 'entry' ? record.entry.extents : record.extents;
    for (let at = 0; at < extents.length; at++) {
      const extent = extents[at]!;
      if (extent.kind !== 'data') continue;
      const number = this.#parts.table.find(extent.block);
      if (number < 0) throw unknownBlock(extent.block);
      const closing = this.#name(number, extent.block);
      if (closing !== undefined) return this.#addSlowly(record, closing);
    }
    this.#countLive(record);
    return this.#tree.add(record);
  }

  /** A promise if there is something to wait for before the next. */
  addFound(file: FoundFile, unsettled: boolean, content: FoundContent | null): Promise<void> | undefined {
    const { table, limits } = this.#parts;
    if (content?.kind !== 'chunk') return this.#addPlain(file, unsettled, content);
    const { block, offset, length, digest } = content;
    if (block !== this.#lastBlock.number) this.#lastBlock = { number: block, id: table.idOf(block) };
    const { id } = this.#lastBlock;
    const add = (): Promise<void> | undefined => {
      this.live.count(block, content, length < limits.chunk_bytes_min);
      return this.#addPlain(file, unsettled, { kind: 'data', block: id, offset, length, digest });
    };
    const closing = this.#name(block, id);
    return closing === undefined ? add() : closing.then(add);
  }

  #addPlain(file: FoundFile, unsettled: boolean, extent: Extent | null): Promise<void> | undefined {
    const { path, size, entries, number, extra } = file;
    return this.#tree.addPlain({ path, size, head: entries.headAt(number), unsettled, extra, extent });
  }

  /** Records of the base as they are. What is a whole page stays that page if it can. */
  async addCarried({ page, from, to, first, last }: CarriedRun): Promise<void> {
    const { view, sealed } = page;
    if (sealed !== null && from === 0 && to === view.count && this.#tree.wouldKeep(view)) {
      if (this.#parts.table.has(sealed.id, IN_BASE | STORED)) {
        await this.#nameAll(view, 0, to);
        await this.#name(this.#parts.table.find(sealed.id), sealed.id);
        await this.#tree.keepPage(view, sealed);
        return;
      }
    }
    for (let at = from; at < to;) {
      const end = this.#tree.runEnd(view, at, to);
      await this.#nameAll(view, at, end);
      const firstPath = at === from ? first : view.pathAt(at);
      const lastPath = end === to ? last : view.pathAt(end - 1);
      await this.#tree.addRun(view, at, end, { first: firstPath, last: lastPath });
      at = end;
    }
  }

  /** Names the blocks of these records, and counts what they use of them. */
  async #nameAll(view: LeafView, from: number, to: number): Promise<void> {
    const { table, limits } = this.#parts;
    for (let number = from; number < to; number++) {
      const chunks = view.chunksAt(number);
      const isWholeFile = view.sizeAt(number) < limits.chunk_bytes_min;
      for (const chunk of chunks) {
        const block = table.findBytes(view.payload, chunk.idAt);
        if (block < 0) throw unknownBlock(view.payload.toString('hex', chunk.idAt, chunk.idAt + ID_BYTES));
        if (!table.is(block, IN_REFS)) await this.#name(block, table.idOf(block));
        this.live.count(block, chunk, isWholeFile);
      }
    }
  }

  async finish(): Promise<{ readonly tree: TreeRoot; readonly refs: RefsRoot }> {
    const tree = await this.#tree.finish();
    return { tree, refs: await this.#refs.finish() };
  }

  #countLive(record: TreeRecord): void {
    const { table, limits } = this.#parts;
    const isEntry = record.kind === 'entry';
    const isWholeFile = isEntry && record.entry.size < limits.chunk_bytes_min;
    for (const extent of isEntry ? record.entry.extents : record.extents) {
      if (extent.kind === 'data') this.live.count(table.find(extent.block), extent, isWholeFile);
    }
  }

  async #addSlowly(record: TreeRecord, closing: Promise<void>): Promise<void> {
    await closing;
    await this.add(record);
  }

  /** Puts a block into the refs, if it is not in them. */
  #name(number: number, id: Ref['id']): Promise<void> | undefined {
    const { table } = this.#parts;
    if (table.is(number, IN_REFS)) return undefined;
    table.mark(number, IN_REFS);
    return this.#refs.add({ id, length: table.lengthOf(number) });
  }

  async #storeTreePage(payload: Uint8Array): Promise<StoredPage> {
    const { table, keys, level, baseTreePages } = this.#parts;
    const same = baseTreePages?.find(payload) ?? null;
    // A page that turned out to be damaged is in the base no more.
    if (same !== null && table.has(same.id, IN_BASE | STORED)) {
      await this.#name(table.find(same.id), same.id);
      return same;
    }
    const block = sealBlock(keys, payload, { type: 'tree', level });
    let number = table.find(block.id);
    if (number < 0 || !table.is(number, IN_BASE | STORED)) {
      await this.#parts.writer.add(block);
      number = table.add(block.id, block.bytes.length, STORED);
    }
    await this.#name(number, block.id);
    return { id: block.id, length: block.bytes.length };
  }

  async #storeRefsPage(payload: Uint8Array): Promise<Ref> {
    const block = clearBlock(this.#parts.keys.id, payload);
    const known = this.#parts.baseRefsPages?.has(block.id) === true || this.#refsPages.has(block.id);
    if (!known) {
      await this.#parts.writer.add(block);
      this.#refsPages.add(block.id);
    }
    return { id: block.id, length: block.bytes.length };
  }
}

/** The base contradicts itself. */
export function unknownBlock(id: string): LowtideError {
  return new LowtideError(
    'damaged-page',
    `the last snapshot's tree uses block ${id.slice(0, 12)}, which its refs do not name: it cannot serve as a base`,
  );
}
