import { isLowtideError, type LowtideError } from '../../model/errors.ts';
import type { Entry } from '../../model/entries.ts';
import type { World } from '../../world/ports.ts';
import type { ChunkStore } from '../chunks/chunk-store.ts';
import type { Emitter } from '../output/emitter.ts';
import { entryOf } from './entry-of.ts';
import { FileReader, type Opened, type Reading } from './file-reader.ts';
import type { Problems } from '../problems.ts';
import { changedWhileRead, unreadable } from './read-file.ts';
import { SlabPool } from './slabs.ts';
import type { ReadStep } from '../steps.ts';
import { type FilePart, largeSlabBytes, type StreamContext } from './stream-file.ts';
import { digestAt } from './tasks.ts';

export interface LargeFileParts {
  readonly world: World;
  readonly context: Omit<StreamContext, 'slabs'>;
  readonly store: ChunkStore;
  readonly emitter: Emitter;
  readonly problems: Problems;
  /** Called for every part; throws if the run is to be stopped. */
  readonly onBytes: (bytes: number) => void;
}

/** How the storing of one file ended. `stored`: its entry may be emitted. `cut`: the quota is used up amid it. */
export type LargeResult =
  | { readonly kind: 'stored' | 'cut'; readonly entry: Entry }
  | { readonly kind: 'failed' };

type Attempt = LargeResult | { readonly kind: 'torn' };

/** The chunk that a piece has not ended holds one slab, the next piece takes another; one more is read meanwhile. */
const LEAST_SLABS = 3;
/** Beside those of the lanes: one whose chunks are being sealed, one that is read, ... */
const SLABS_BESIDE_LANES = 4;
const SLABS_MAX = 12;

/** Stores files piece by piece, whatever their size, pushing their extents. */
export class LargeFiles {
  readonly #parts: LargeFileParts;
  readonly #reader: FileReader;

  constructor(parts: LargeFileParts) {
    this.#parts = parts;
    const slabs = Math.min(parts.world.work.lanes + SLABS_BESIDE_LANES, SLABS_MAX);
    this.#reader = this.#newReader(slabs);
  }

  /** Begins to read a file whose turn will come, after those that were asked for before. */
  ahead(step: ReadStep): Reading {
    return this.#reader.read(step);
  }

  /**
   * `step.from` bytes have been pushed already; they count if the file is still what it was in the walk.
   * @param reading what `ahead` gave for the step; null: it is read now
   */
  async store(step: ReadStep, reading: Reading | null): Promise<LargeResult> {
    const { emitter, world } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= world.limits.torn_read_attempts;
      const result =
        attempt === 1 && reading !== null
          ? await this.#try(step, reading, isLast)
          : await this.#tryAgain({ ...step, from: attempt === 1 ? step.from : 0 }, isLast);
      if (result.kind === 'stored' || result.kind === 'cut') return result;
      emitter.push({ kind: 'clear' });
      if (result.kind === 'failed') return result;
    }
  }

  /** Nothing is open or being read any more when this resolves. */
  async close(): Promise<void> {
    await this.#reader.close();
  }

  /** With a reader of its own: all slabs of the other may be taken by files that come later. */
  async #tryAgain(step: ReadStep, isLast: boolean): Promise<Attempt> {
    const reader = this.#newReader(LEAST_SLABS);
    try {
      return await this.#try(step, reader.read(step), isLast);
    } finally {
      await reader.close();
    }
  }

  #newReader(slabs: number): FileReader {
    const { context } = this.#parts;
    return new FileReader({ ...context, slabs: new SlabPool(largeSlabBytes(context), slabs) });
  }

  async #try(step: ReadStep, reading: Reading, isLast: boolean): Promise<Attempt> {
    try {
      return await this.#take(step, reading, await reading.opened, isLast);
    } catch (error) {
      if (!isLowtideError(error, 'not-found', 'source-unreadable')) throw error;
      return await this.#failed(step, error);
    }
  }

  async #failed(step: ReadStep, error: LowtideError): Promise<Attempt> {
    const problem = await unreadable(this.#parts.world, step.path, error);
    if (step.fallback === null) this.#parts.problems.add(problem);
    return { kind: 'failed' };
  }

  async #take(step: ReadStep, reading: Reading, opened: Opened, isLast: boolean): Promise<Attempt> {
    const { emitter, problems } = this.#parts;
    const { stat, from, fresh } = opened;
    if (from < step.from) emitter.push({ kind: 'clear' });
    const entry = entryOf({ ...step, stat });
    if (!(await this.#storeParts(reading, stat.size))) {
      return { kind: 'cut', entry: { ...entry, unsettled: fresh } };
    }
    const torn = await reading.torn;
    if (torn && !isLast) return { kind: 'torn' };
    if (torn) problems.add(changedWhileRead(step.path));
    return { kind: 'stored', entry: { ...entry, unsettled: torn || fresh } };
  }

  /** False if the quota was used up. */
  async #storeParts(reading: Reading, size: number): Promise<boolean> {
    const { world, emitter, onBytes } = this.#parts;
    const isSmallFile = size < world.limits.chunk_bytes_min;
    for await (const part of reading.parts) {
      if (part.kind !== 'chunks') this.#storeAtOnce(part);
      else if (!(await this.#storeChunks(part, isSmallFile))) return false;
      await emitter.drain();
      onBytes(lengthOf(part));
    }
    return true;
  }

  #storeAtOnce(part: Exclude<FilePart, { kind: 'chunks' }>): void {
    const { emitter, store } = this.#parts;
    emitter.push({ kind: 'extent', extent: part });
    store.passed();
  }

  async #storeChunks(part: Extract<FilePart, { kind: 'chunks' }>, isSmallFile: boolean): Promise<boolean> {
    const { emitter, store } = this.#parts;
    const { chunks, slab } = part;
    const all = await part.digests;
    const digests = chunks.map((_, at) => digestAt(all, at));
    const known = await store.findKnown(digests.map((digest) => ({ digest, isSmallFile })));
    for (const [at, bytes] of chunks.entries()) {
      const digest = digests[at]!;
      let extent = store.place(digest, bytes.length, known);
      if (extent === null) {
        if (await store.isFull()) return false;
        extent = store.store(digest, bytes, () => {
          slab.hold();
          return slab.release;
        });
      }
      emitter.push({ kind: 'extent', extent });
      store.passed();
      await store.settle();
    }
    slab.release();
    return true;
  }
}

function lengthOf(part: FilePart): number {
  if (part.kind === 'hole') return part.length;
  if (part.kind === 'inline') return part.bytes.length;
  return part.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}
