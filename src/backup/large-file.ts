import { isLowtideError, type LowtideError } from '../model/errors.ts';
import type { Entry, Stat } from '../model/entries.ts';
import type { SourceFile, World } from '../world/ports.ts';
import { Background } from './ahead.ts';
import type { ChunkStore } from './chunk-store.ts';
import type { Emitter } from './emitter.ts';
import { entryOf, isFresh, isSame } from './entry-of.ts';
import type { Problems } from './problems.ts';
import { changedWhileRead, unreadable } from './read-file.ts';
import type { ReadStep } from './steps.ts';
import { type FilePart, type StreamContext, streamFile } from './stream-file.ts';

export interface LargeFileParts {
  readonly world: World;
  readonly context: Omit<StreamContext, 'background'>;
  readonly store: ChunkStore;
  readonly emitter: Emitter;
  readonly problems: Problems;
  /** Called for every part; throws if the run is to be stopped. */
  readonly onBytes: (bytes: number) => void;
}

/** How the storing of one file ended. `stored`: its entry may be emitted. `cut`: the quota is used up amid it. */
export type LargeResult =
  | { readonly kind: 'stored' | 'cut'; readonly entry: Entry; readonly stat: Stat }
  | { readonly kind: 'failed' };

type Attempt = LargeResult | { readonly kind: 'torn' };

/** Stores files piece by piece, whatever their size, pushing their extents. */
export class LargeFiles {
  readonly #parts: LargeFileParts;

  constructor(parts: LargeFileParts) {
    this.#parts = parts;
  }

  /** `step.from` bytes have been pushed already; they count if the file is still what it was in the walk. */
  async store(step: ReadStep): Promise<LargeResult> {
    const { emitter, world } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= world.limits.torn_read_attempts;
      const result = await this.#tryOnce({ ...step, from: attempt === 1 ? step.from : 0 }, isLast);
      if (result.kind === 'stored' || result.kind === 'cut') return result;
      emitter.push({ kind: 'clear' });
      if (result.kind === 'failed') return result;
    }
  }

  async #tryOnce(step: ReadStep, isLast: boolean): Promise<Attempt> {
    const { world } = this.#parts;
    const background = new Background();
    try {
      const file = await world.files.openSource(step.path);
      try {
        return await this.#read(step, file, background, isLast);
      } finally {
        // What was read ahead must not find the file closed, or its descriptor another's.
        await background.settled();
        await file.close();
      }
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

  async #read(step: ReadStep, file: SourceFile, background: Background, isLast: boolean): Promise<Attempt> {
    const { world, emitter, problems } = this.#parts;
    const stat = await file.stat();
    const now = world.clock.now();
    const from = isSame(stat, step.stat) ? step.from : 0;
    if (from < step.from) emitter.push({ kind: 'clear' });
    const entry = entryOf({ ...step, stat });
    // What the attributes are of may be older than the content.
    const fresh = isFresh(stat, now, world.limits.unsettled_ms) || !isSame(stat, step.stat);
    if (!(await this.#stream(file, stat, from, background))) {
      return { kind: 'cut', entry: { ...entry, unsettled: fresh }, stat };
    }
    const torn = !isSame(stat, await file.stat());
    if (torn && !isLast) return { kind: 'torn' };
    if (torn) problems.add(changedWhileRead(step.path));
    return { kind: 'stored', entry: { ...entry, unsettled: torn || fresh }, stat };
  }

  /** False if the quota was used up. */
  async #stream(
    file: SourceFile,
    { size, allocated }: Stat,
    from: number,
    background: Background,
  ): Promise<boolean> {
    const { world, context, emitter, onBytes } = this.#parts;
    if (size <= world.limits.inline_bytes_max) {
      await this.#storeInline(file, size);
      return true;
    }
    const sparse = size >= world.limits.chunk_bytes_min && allocated < size;
    const parts = streamFile({ ...context, background }, file, { from, size, sparse });
    let finished = false;
    try {
      for await (const part of parts) {
        if (part.kind === 'hole') this.#storeHole(part.length);
        else if (!(await this.#storeChunks(part, size < world.limits.chunk_bytes_min))) return false;
        await emitter.drain();
        onBytes(
          part.kind === 'hole' ? part.length : part.chunks.reduce((sum, chunk) => sum + chunk.length, 0),
        );
      }
      finished = true;
    } catch (error) {
      // The file's own failure has ended what reads it; after any other the run ends.
      finished = isLowtideError(error, 'source-unreadable');
      throw error;
    } finally {
      if (!finished) context.slabs.close();
    }
    return true;
  }

  async #storeInline(file: SourceFile, size: number): Promise<void> {
    if (size === 0) return;
    const bytes = new Uint8Array(size);
    await file.read(bytes, 0);
    this.#parts.emitter.push({ kind: 'extent', extent: { kind: 'inline', bytes } });
  }

  #storeHole(length: number): void {
    const { emitter, store } = this.#parts;
    emitter.push({ kind: 'extent', extent: { kind: 'hole', length } });
    store.passed();
  }

  async #storeChunks(part: Extract<FilePart, { kind: 'chunks' }>, isSmallFile: boolean): Promise<boolean> {
    const { emitter, store } = this.#parts;
    const { chunks, slab } = part;
    const digests = await part.digests;
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
