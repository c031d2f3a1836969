import { boundedSum } from '../../format/tree-builder.ts';
import type { TreeRecord } from '../../format/tree-page.ts';
import type { Entry, Extent } from '../../model/entries.ts';
import { defined } from '../../model/errors.ts';
import type { ChunkDigest } from '../../model/ids.ts';
import type { Limits } from '../../model/limits.ts';
import type { BlockTable } from '../blocks/block-table.ts';
import { ExtentList } from './extent-list.ts';
import type { FoundFile } from '../read/found-file.ts';
import type { LinkKey } from '../read/hard-links.ts';
import type { CarriedRun } from '../steps.ts';
import type { RunBlocks } from '../blocks/run-blocks.ts';
import { type TreeOutput, unknownBlock } from './tree-output.ts';

/** An extent whose block may still have to be sealed. */
export type PendingExtent =
  | {
      readonly kind: 'data';
      /** Set if the block is one of this run. */
      readonly runBlock: number;
      /** Else its number in the BlockTable. */
      readonly block: number;
      readonly offset: number;
      readonly length: number;
      readonly digest: ChunkDigest;
    }
  | Exclude<Extent, { readonly kind: 'data' }>;

/** What is to be written, in walk order. Extents count for the next `end`, `cut` or `clear`. */
export type EmitItem =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'carried'; readonly run: CarriedRun }
  /** A whole file that is one extent, or empty. */
  | {
      readonly kind: 'found';
      readonly file: FoundFile;
      readonly unsettled: boolean;
      readonly extent: PendingExtent | null;
    }
  | { readonly kind: 'extent'; readonly extent: PendingExtent }
  | { readonly kind: 'kept'; readonly extents: readonly Extent[] }
  /** The file must be read again. */
  | { readonly kind: 'clear' }
  /** The file is whole. `keep` is set if further names of it may follow. */
  | { readonly kind: 'end'; readonly entry: Entry; readonly keep: LinkKey | null }
  /** Another name of a file that was kept, perhaps the last. */
  | { readonly kind: 'again'; readonly entry: Entry; readonly key: LinkKey; readonly isLast: boolean }
  /** The snapshot ends here, in the middle of a file or before it. */
  | { readonly kind: 'cut'; readonly entry: Entry };

export interface EmitCounts {
  files: number;
  directories: number;
  others: number;
  bytes: number;
}

/** Turns what was found in the walk into records, each as soon as the blocks it names are stored. */
export class Emitter {
  readonly #limits: Limits;
  readonly #table: BlockTable;
  readonly #blocks: RunBlocks;
  readonly #output: TreeOutput;
  readonly #extents: ExtentList;
  readonly #kept = new Map<LinkKey, ExtentList>();
  #queue: EmitItem[] = [];
  readonly counts: EmitCounts = { files: 0, directories: 0, others: 0, bytes: 0 };
  /** Set by `cut`: everything before is covered. */
  partialUntil: { readonly path: Entry['path']; readonly offset: number } | null = null;

  constructor(limits: Limits, table: BlockTable, blocks: RunBlocks, output: TreeOutput) {
    this.#limits = limits;
    this.#table = table;
    this.#blocks = blocks;
    this.#output = output;
    this.#extents = new ExtentList(table);
  }

  push(item: EmitItem): void {
    this.#queue.push(item);
  }

  /** Writes all that does not wait for a block. */
  async drain(): Promise<void> {
    let done = 0;
    for (const item of this.#queue) {
      if (!this.#isReady(item)) break;
      done++;
      const writing = this.#emit(item);
      if (writing !== undefined) await writing;
    }
    if (done === this.#queue.length) this.#queue = [];
    else this.#queue.splice(0, done);
  }

  #isReady(item: EmitItem): boolean {
    if (item.kind !== 'extent' && item.kind !== 'found') return true;
    if (item.extent?.kind !== 'data') return true;
    return item.extent.runBlock < 0 || this.#blocks.numberOf(item.extent.runBlock) >= 0;
  }

  #emit(item: EmitItem): Promise<void> | undefined {
    switch (item.kind) {
      case 'entry':
        return this.#add({ kind: 'entry', entry: item.entry });
      case 'carried':
        return this.#carry(item.run);
      case 'found':
        return this.#addFound(item);
      case 'extent':
        this.#take(item.extent);
        return undefined;
      case 'kept':
        for (const extent of item.extents) this.#takeKept(extent);
        return undefined;
      case 'clear':
        this.#extents.clear();
        return undefined;
      case 'end':
        if (item.keep !== null) this.#kept.set(item.keep, this.#extents.copy());
        return this.#addFile(item.entry, this.#extents);
      case 'again':
        return this.#addAgain(item);
      default:
        return this.#cut(item.entry);
    }
  }

  #carry(run: CarriedRun): Promise<void> {
    const { files, directories, others, bytes } = run.page.view.tally(run.from, run.to);
    this.counts.files += files;
    this.counts.directories += directories;
    this.counts.others += others;
    this.counts.bytes = boundedSum(this.counts.bytes, bytes);
    return this.#output.addCarried(run);
  }

  #addFound({ file, unsettled, extent }: Extract<EmitItem, { kind: 'found' }>): Promise<void> | undefined {
    this.counts.files++;
    this.counts.bytes = boundedSum(this.counts.bytes, file.size);
    if (extent?.kind !== 'data') return this.#output.addFound(file, unsettled, extent);
    const block = extent.runBlock < 0 ? extent.block : this.#blocks.numberOf(extent.runBlock);
    const { offset, length, digest } = extent;
    return this.#output.addFound(file, unsettled, { kind: 'chunk', block, offset, length, digest });
  }

  #addAgain({ entry, key, isLast }: Extract<EmitItem, { kind: 'again' }>): Promise<void> | undefined {
    const extents = defined(this.#kept.get(key), 'the content of a linked file');
    if (isLast) this.#kept.delete(key);
    return this.#addFile(entry, extents);
  }

  #take(extent: PendingExtent): void {
    if (extent.kind === 'hole') this.#extents.addHole(extent.length);
    else if (extent.kind === 'inline') this.#extents.addInline(extent.bytes);
    else {
      const block = extent.runBlock < 0 ? extent.block : this.#blocks.numberOf(extent.runBlock);
      this.#extents.addData(block, extent.offset, extent.length, extent.digest);
    }
  }

  #takeKept(extent: Extent): void {
    if (extent.kind !== 'data') this.#take(extent);
    else {
      const { offset, length, digest } = extent;
      this.#extents.addData(this.#numberOf(extent.block), offset, length, digest);
    }
  }

  #numberOf(block: Extract<Extent, { kind: 'data' }>['block']): number {
    const number = this.#table.find(block);
    if (number < 0) throw unknownBlock(block);
    return number;
  }

  #addFile(entry: Entry, extents: ExtentList): Promise<void> | undefined {
    return extents.count <= this.#limits.entry_extents_max
      ? this.#finishFile({ kind: 'entry', entry: { ...entry, extents: extents.all() } })
      : this.#addRecords(entry, extents);
  }

  #finishFile(record: TreeRecord): Promise<void> | undefined {
    this.#extents.clear();
    return this.#add(record);
  }

  async #addRecords(entry: Entry, extents: ExtentList): Promise<void> {
    for (const record of extents.records(entry, this.#limits.entry_extents_max)) await this.#add(record);
    this.#extents.clear();
  }

  #cut(entry: Entry): Promise<void> | undefined {
    const offset = this.#extents.length;
    this.partialUntil = { path: entry.path, offset };
    return offset === 0 ? undefined : this.#addFile({ ...entry, partial: true }, this.#extents);
  }

  #add(record: TreeRecord): Promise<void> | undefined {
    if (record.kind === 'entry') this.#count(record.entry);
    return this.#output.add(record);
  }

  #count({ type, size }: Entry): void {
    if (type === 'directory') this.counts.directories++;
    else if (type === 'file') {
      this.counts.files++;
      this.counts.bytes = boundedSum(this.counts.bytes, size);
    } else this.counts.others++;
  }
}
