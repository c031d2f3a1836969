import type { Stat } from '../../model/entries.ts';
import type { SourceFile } from '../../world/ports.ts';
import { later } from '../ahead.ts';
import { Channel } from './channel.ts';
import { isFresh, isSame } from './entry-of.ts';
import type { ReadStep } from '../steps.ts';
import { cutPieces, type FilePart, type Piece, readPieces, type StreamContext } from './stream-file.ts';

/** A file as it was found when its turn to be read had come. */
export interface Opened {
  readonly stat: Stat;
  /** Where the parts begin. */
  readonly from: number;
  /** Looked at so soon after its last change that it may change again and keep its times. */
  readonly fresh: boolean;
}

/** A file that is being read ahead of whoever takes its parts. Any of these may fail with a LowtideError. */
export interface Reading {
  readonly opened: Promise<Opened>;
  readonly parts: AsyncIterable<FilePart>;
  /** Whether it changed before all of it had been read. */
  readonly torn: Promise<boolean>;
}

interface Job {
  readonly step: ReadStep;
  readonly opened: PromiseWithResolvers<Opened>;
  readonly pieces: Channel<Piece>;
  readonly parts: Channel<FilePart>;
  readonly torn: PromiseWithResolvers<boolean>;
}

/**
 * Reads files one after another in the order in which they are asked for, as far ahead as there are slabs, and has them
 * looked through, cut and digested meanwhile. One reader takes the slabs, and they are given back in the same order, so
 * that nobody waits for a slab which nobody can give back.
 */
export class FileReader {
  readonly #context: StreamContext;
  readonly #waiting: Job[] = [];
  readonly #channels = new Set<Channel<Piece> | Channel<FilePart>>();
  readonly #cutting = new Set<Promise<void>>();
  #reading: Promise<void> | null = null;
  #closed = false;

  constructor(context: StreamContext) {
    this.#context = context;
  }

  /** `step.from` bytes are left out if the file still is what it was in the walk. */
  read(step: ReadStep): Reading {
    const depth = this.#context.world.work.lanes + 1;
    const job: Job = {
      step,
      opened: Promise.withResolvers(),
      pieces: new Channel(depth),
      parts: new Channel(depth),
      torn: Promise.withResolvers(),
    };
    for (const promise of [job.opened.promise, job.torn.promise]) void later<unknown>(promise);
    this.#channels.add(job.pieces).add(job.parts);
    this.#waiting.push(job);
    this.#reading ??= this.#readAll();
    return { opened: job.opened.promise, parts: job.parts, torn: job.torn.promise };
  }

  /** Ends what is under way; nothing is open any more when this resolves. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#context.slabs.close();
    for (const channel of this.#channels) channel.close();
    while (this.#reading !== null || this.#cutting.size > 0) {
      await this.#reading;
      await Promise.all(this.#cutting);
    }
  }

  async #readAll(): Promise<void> {
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      const cutting: Promise<void> = this.#cut(job).finally(() => this.#cutting.delete(cutting));
      this.#cutting.add(cutting);
      try {
        await this.#read(job);
        job.pieces.end();
      } catch (error) {
        for (const promise of [job.opened, job.torn]) promise.reject(error);
        job.pieces.end(error);
      }
    }
    this.#reading = null;
  }

  async #read(job: Job): Promise<void> {
    const { world } = this.#context;
    // A world that has crashed answers no more; a reader that was closed asks no more.
    if (this.#closed) return;
    const file = await world.files.openSource(job.step.path);
    try {
      const stat = await file.stat();
      const same = isSame(stat, job.step.stat);
      // What the attributes are of may be older than the content.
      const fresh = !same || isFresh(stat, world.clock.now(), world.limits.unsettled_ms);
      const from = same ? job.step.from : 0;
      job.opened.resolve({ stat, from, fresh });
      await this.#readPieces(job, file, stat, from);
      job.torn.resolve(!isSame(stat, await file.stat()));
    } finally {
      await file.close();
    }
  }

  async #readPieces({ pieces }: Job, file: SourceFile, stat: Stat, from: number): Promise<void> {
    const { size, allocated } = stat;
    const { limits } = this.#context.world;
    if (size === 0) return;
    if (size <= limits.inline_bytes_max) {
      const bytes = new Uint8Array(size);
      await file.read(bytes, 0);
      await pieces.push({ kind: 'inline', bytes });
      return;
    }
    const sparse = size >= limits.chunk_bytes_min && allocated < size;
    for await (const piece of readPieces(this.#context, file, { from, size, sparse }))
      await pieces.push(piece);
  }

  async #cut({ pieces, parts }: Job): Promise<void> {
    try {
      for await (const part of cutPieces(this.#context, pieces)) await parts.push(part);
      parts.end();
    } catch (error) {
      parts.end(error);
    } finally {
      // The reader may wait for room in it.
      pieces.close();
      this.#channels.delete(pieces);
      this.#channels.delete(parts);
    }
  }
}
