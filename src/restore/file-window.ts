import type { KeyStore } from '../format/domain-keys.ts';
import type { Extent } from '../model/entries.ts';
import type { BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import type { World } from '../world/ports.ts';
import type { RestoreTarget } from '../world/target/ports.ts';
import type { BlockFetcher, Fetched, FetchedBlock } from './block-fetcher.ts';
import { ContentBatch } from './content-batch.ts';
import type { FileJob, Piece } from './file-job.ts';
import { PayloadCache } from './payload-cache.ts';
import { readAhead } from './read-ahead.ts';
import { eachAtOnce, Lanes } from './stop.ts';

/** Bounds of a window, as multiples of the largest chunk or as counts. */
const WINDOW_CHUNKS = 16;
const CACHE_CHUNKS = 1;
/** Blocks at the end of a window that the next is likely to want too. */
const KEPT_BLOCKS = 4;
const PIECES_MAX = 4096;
/** Files that need more than one block stay open until the last has come. */
const OPEN_FILES_MAX = 64;
/** Files finished at once: more only wait for the same disk. */
const WIDTH = 8;
/** For each thread: the batch it works at, and the next. */
const BATCHES_PER_LANE = 2;

/** A window under way. */
export interface Flush {
  /** All of its blocks have been read, or it has failed: the next may begin. Never rejects. */
  readonly read: Promise<void>;
  /** All of it is restored, and all windows before it are. */
  readonly done: Promise<void>;
  /** Content that it writes. */
  readonly bytes: number;
}

/** What is wanted of each block. */
type Needs = Map<BlockId, Piece[]>;

export interface WindowParts {
  readonly world: World;
  readonly fetcher: BlockFetcher;
  readonly keys: KeyStore;
  readonly target: RestoreTarget;
  /** Called once for each file that is restored or given up. Null: there is nothing to wait for. */
  readonly done: (job: FileJob) => Promise<void> | null;
}

/**
 * Collects files in tree order until they need about 64 MiB (16 of the largest chunks), then fetches their blocks,
 * each once, and has every block's chunks written wherever they go by the thread that opens it. So memory holds a few
 * blocks for each thread, whatever the size of a file or a snapshot; a file that is larger than the window goes through
 * several.
 */
export class FileWindow {
  readonly #parts: WindowParts;
  readonly #limits: Limits;
  /** Sealed. */
  readonly #cache: PayloadCache<FetchedBlock>;
  #needs: Needs = new Map();
  #jobs: FileJob[] = [];
  #pieces = 0;
  #bytes = 0;
  #openFiles = 0;
  /** Those of which a flush is under way, or has failed. */
  readonly #flushing = new Set<readonly FileJob[]>();
  readonly #running = new Set<Promise<void>>();
  #done: Promise<void> = Promise.resolve();

  constructor(parts: WindowParts) {
    this.#parts = parts;
    this.#limits = parts.world.limits;
    this.#cache = new PayloadCache(CACHE_CHUNKS * this.#limits.chunk_bytes_max, ({ bytes }) => bytes.length);
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

  /**
   * Restores all that was added before the call. Files may be added meanwhile, and the next flush may begin when this one has
   * read what it needs: then no thread waits for the end of a window. A file whose end has not come stays for the next.
   */
  flush(): Flush {
    const [needs, jobs, bytes] = [this.#needs, this.#jobs, this.#bytes];
    const read = Promise.withResolvers<void>();
    const done = this.#restore(needs, jobs, this.#done, read.resolve);
    // Looked at by whoever flushes next, or ends.
    done.catch(() => {});
    this.#done = done;
    this.#needs = new Map();
    this.#jobs = jobs.filter((job) => !job.ended);
    this.#pieces = 0;
    this.#bytes = 0;
    this.#openFiles = this.#jobs.length;
    return { read: read.promise, done, bytes };
  }

  async #restore(
    needs: Needs,
    jobs: readonly FileJob[],
    before: Promise<void>,
    onRead: () => void,
  ): Promise<void> {
    const ended = jobs.filter((job) => job.ended);
    const doubtful: Needs = new Map();
    this.#flushing.add(jobs);
    try {
      await this.#withLanes(async (lanes) => {
        await this.#writeReady(ended, lanes);
        await this.#writeBlocks(needs, this.#blocks([...needs.keys()]), lanes, doubtful);
        onRead();
      });
      await this.#withLanes((lanes) => this.#writeAgain(doubtful, lanes));
    } finally {
      onRead();
      // A file that began in the window before has pieces there too.
      await before;
    }
    // The next window makes what had not ended when this one began.
    await this.#settle(ended);
    this.#flushing.delete(jobs);
    if (ended.some((job) => job.state === 'going')) {
      throw new TypeError('a block was asked for and never answered');
    }
  }

  /** Leaves no temporary file behind. */
  async discard(): Promise<void> {
    for (const jobs of [...this.#flushing, this.#jobs]) for (const job of jobs) await job.discard();
  }

  /** Files that are empty, hole, or so short that the tree holds them. */
  async #writeReady(jobs: readonly FileJob[], lanes: Lanes): Promise<void> {
    let batch = this.#newBatch();
    for (const job of jobs) {
      if (!job.isWholeWith(0)) continue;
      batch.addWhole(job);
      if (!batch.full) continue;
      await this.#start(batch, lanes);
      batch = this.#newBatch();
    }
    await this.#start(batch, lanes);
  }

  /** What did not open: once more, from wherever it can be had as its id says, which finds out what is damaged. */
  async #writeAgain(doubtful: Needs, lanes: Lanes): Promise<void> {
    if (doubtful.size === 0) return;
    const blocks = this.#parts.fetcher.fetch([...doubtful.keys()]);
    await this.#writeBlocks(doubtful, blocks, lanes, new Map());
  }

  async #withLanes(work: (lanes: Lanes) => Promise<void>): Promise<void> {
    const lanes = new Lanes(this.#parts.world.work.lanes * BATCHES_PER_LANE, this.#running);
    try {
      await work(lanes);
    } finally {
      await lanes.end();
    }
  }

  /** @param doubtful gets what is to be written again */
  async #writeBlocks(
    needs: Needs,
    blocks: AsyncGenerator<Fetched>,
    lanes: Lanes,
    doubtful: Needs,
  ): Promise<void> {
    const last = new Set([...needs.keys()].slice(-KEPT_BLOCKS));
    let batch = this.#newBatch();
    for await (const fetched of blocks) {
      const pieces = needs.get(fetched.id) ?? [];
      if (fetched.kind === 'lost') {
        for (const { job } of pieces) job.fail(fetched.error);
        continue;
      }
      if (last.has(fetched.id)) this.#cache.set(fetched.id, copyOf(fetched));
      batch.add(fetched, pieces);
      if (!batch.full) continue;
      await this.#start(batch, lanes, doubtful);
      batch = this.#newBatch();
    }
    await this.#start(batch, lanes, doubtful);
  }

  async *#blocks(ids: readonly BlockId[]): AsyncGenerator<Fetched> {
    const missing: BlockId[] = [];
    for (const id of ids) {
      const kept = this.#cache.get(id);
      if (kept === undefined) missing.push(id);
      else yield copyOf(kept);
    }
    yield* readAhead(this.#parts.fetcher.fetchToOpen(missing));
  }

  #newBatch(): ContentBatch {
    return new ContentBatch(this.#limits);
  }

  async #start(batch: ContentBatch, lanes: Lanes, doubtful: Needs = new Map()): Promise<void> {
    if (batch.empty) return;
    const { target, keys } = this.#parts;
    await lanes.run(async () => {
      const jobs = await batch.write(target, keys);
      for (const [id, pieces] of batch.doubtful) doubtful.set(id, [...(doubtful.get(id) ?? []), ...pieces]);
      await this.#settle(jobs);
    });
  }

  /** Most were made in one call, and nothing is left to do for them. */
  async #settle(jobs: Iterable<FileJob>): Promise<void> {
    const others: FileJob[] = [];
    for (const job of jobs) {
      if (job.told) continue;
      if (job.state === 'going') {
        others.push(job);
        continue;
      }
      const flags = this.#tell(job);
      if (flags !== null) await flags;
    }
    if (others.length === 0) return;
    await eachAtOnce(others, WIDTH, async (job) => {
      if (job.told) return;
      await job.settle();
      if (job.state !== 'going' && !job.told) await this.#tell(job);
    });
  }

  #tell(job: FileJob): Promise<void> | null {
    job.told = true;
    return this.#parts.done(job);
  }
}

/** A thread gets the memory of what it opens. */
const copyOf = (block: FetchedBlock): FetchedBlock => ({ ...block, bytes: new Uint8Array(block.bytes) });
