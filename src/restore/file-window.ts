import type { KeyStore } from '../format/domain-keys.ts';
import type { Extent } from '../model/entries.ts';
import type { BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import type { BlockFetcher, Fetched } from './block-fetcher.ts';
import { chunkOf, type DataBlock, openDataBlock } from './data-block.ts';
import type { FileJob, Piece } from './file-job.ts';
import { PayloadCache } from './payload-cache.ts';
import { readAhead } from './read-ahead.ts';
import { eachAtOnce, ownError } from './stop.ts';

/** Bounds of a window, as multiples of the largest chunk or as counts. */
const WINDOW_CHUNKS = 16;
const CACHE_CHUNKS = 4;
const PIECES_MAX = 8192;
/** Files that need more than one block stay open until the last has come. */
const OPEN_FILES_MAX = 64;
/** Files worked on at once: more only wait for the same disk. */
const WIDTH = 8;

/**
 * Collects files in tree order until they need about 64 MiB (16 of the largest chunks), then fetches their blocks,
 * each once, and writes every block's chunks wherever they go before it is let go. So memory holds two blocks and a
 * small cache of those that several windows share, whatever the size of a file or a snapshot; a file that is larger
 * than the window goes through several.
 */
export class FileWindow {
  readonly #limits: Limits;
  readonly #fetcher: BlockFetcher;
  readonly #keys: KeyStore;
  /** Called once for each file that is restored or given up. */
  readonly #done: (job: FileJob) => Promise<void>;
  readonly #cache: PayloadCache<DataBlock>;
  readonly #needs = new Map<BlockId, Piece[]>();
  #jobs: FileJob[] = [];
  #pieces = 0;
  #bytes = 0;
  #openFiles = 0;

  constructor(limits: Limits, fetcher: BlockFetcher, keys: KeyStore, done: (job: FileJob) => Promise<void>) {
    this.#limits = limits;
    this.#fetcher = fetcher;
    this.#keys = keys;
    this.#done = done;
    this.#cache = new PayloadCache(CACHE_CHUNKS * limits.chunk_bytes_max, (block) => block.payload.length);
  }

  get full(): boolean {
    return (
      this.#bytes >= WINDOW_CHUNKS * this.#limits.chunk_bytes_max ||
      this.#pieces + this.#jobs.length >= Math.min(PIECES_MAX, this.#limits.ids_per_message) ||
      this.#openFiles >= Math.min(OPEN_FILES_MAX, this.#limits.ids_per_message)
    );
  }

  /** A new file with its first extents. Its `end` is the caller's to call. */
  add(job: FileJob): void {
    this.#jobs.push(job);
    this.plan(job, 0, job.entry.extents);
  }

  plan(job: FileJob, offset: number, extents: readonly Extent[]): void {
    const pieces = job.plan(offset, extents);
    for (const piece of pieces) {
      const { block, length } = piece.extent;
      const others = this.#needs.get(block);
      if (others === undefined) this.#needs.set(block, [piece]);
      else others.push(piece);
      this.#bytes += length;
    }
    this.#pieces += extents.length;
    if (pieces.length > 1) this.#openFiles++;
  }

  /** Restores all that was added. A file whose end has not come stays for the next window. */
  async flush(): Promise<void> {
    await this.#settle(this.#jobs.filter((job) => job.ready));
    for (const [id, pieces] of this.#needs) {
      const block = this.#cache.get(id);
      if (block === undefined) continue;
      this.#needs.delete(id);
      await this.#write(pieces, () => block);
    }
    const blocks = this.#fetcher.fetch([...this.#needs.keys()]);
    for await (const fetched of readAhead(blocks)) await this.#deliver(fetched);
    await this.#settle(this.#jobs);
    this.#jobs = this.#jobs.filter((job) => job.state === 'going');
    if (this.#jobs.some((job) => job.ended)) throw new TypeError('a block was asked for and never answered');
    this.#needs.clear();
    this.#pieces = 0;
    this.#bytes = 0;
    this.#openFiles = this.#jobs.length;
  }

  /** Leaves no temporary file behind. */
  async discard(): Promise<void> {
    for (const job of this.#jobs) await job.discard();
  }

  async #deliver(fetched: Fetched): Promise<void> {
    const pieces = this.#needs.get(fetched.id) ?? [];
    let block: () => DataBlock;
    try {
      if (fetched.kind === 'lost') throw fetched.error;
      const opened = openDataBlock(this.#keys, fetched.bytes, this.#limits.block_bytes_max);
      this.#cache.set(fetched.id, opened);
      block = () => opened;
    } catch (error) {
      const failure = ownError(error);
      block = () => {
        throw failure;
      };
    }
    await this.#write(pieces, block);
  }

  async #write(pieces: readonly Piece[], block: () => DataBlock): Promise<void> {
    const byJob = Map.groupBy(pieces, ({ job }) => job);
    await eachAtOnce(byJob, WIDTH, async ([job, own]) => {
      for (const { position, extent } of own) await job.write(position, () => chunkOf(block(), extent));
      if (job.ready) await this.#settleOne(job);
    });
  }

  async #settle(jobs: readonly FileJob[]): Promise<void> {
    await eachAtOnce(jobs, WIDTH, (job) => this.#settleOne(job));
  }

  async #settleOne(job: FileJob): Promise<void> {
    if (job.state !== 'going') return;
    await job.settle();
    if (job.state !== 'going') await this.#done(job);
  }
}
