import { SEAL_BYTES, type SealedBlock } from '../../format/block.ts';
import type { ChunkDigest } from '../../model/ids.ts';
import type { World } from '../../world/ports.ts';
import { type BlockTable, STORED } from '../blocks/block-table.ts';
import type { PendingExtent } from '../output/emitter.ts';
import type { KnownChunks, KnownPlace, Question } from './known-chunks.ts';
import type { NewBlocks } from '../blocks/new-blocks.ts';
import type { BackupPlan } from '../plan.ts';
import { RunBlocks } from '../blocks/run-blocks.ts';
import { Sealer } from '../blocks/sealer.ts';
import { type BlockJob, Sequencer } from './sequencer.ts';

/** Chunks whose places are kept in memory: about 50 MB. More are looked up on disk. */
const REMEMBERED_MAX = 1 << 20;

export type DataExtent = Extract<PendingExtent, { readonly kind: 'data' }>;

/** Where chunks go, in walk order: into blocks of this run, unless they are somewhere already. */
export class ChunkStore {
  readonly blocks = new RunBlocks();
  readonly #sequencer: Sequencer;
  readonly #sealer: Sealer;
  readonly #known: KnownChunks;
  readonly #table: BlockTable;
  readonly #writer: NewBlocks;
  readonly #quota: number;
  readonly #rememberedMax: number;
  /** Blocks that are stored, their sealed bytes, and the plain bytes of their chunks. */
  #settled = { blocks: 0, bytes: 0, plainBytes: 0 };

  constructor(
    world: World,
    plan: Pick<BackupPlan, 'keys' | 'level' | 'quotaBytes'>,
    parts: { readonly known: KnownChunks; readonly table: BlockTable; readonly writer: NewBlocks },
    rememberedMax = REMEMBERED_MAX,
  ) {
    this.#sequencer = new Sequencer(world.limits);
    this.#sealer = new Sealer(world, plan.keys, plan.level, (job, block) => this.#store(job, block));
    this.#known = parts.known;
    this.#table = parts.table;
    this.#writer = parts.writer;
    this.#quota = plan.quotaBytes ?? Infinity;
    this.#rememberedMax = rememberedMax;
  }

  /** Where chunks are that this run has not stored and need not. Before the first `place` of a batch. */
  async findKnown(questions: readonly Question[]): Promise<ReadonlyMap<ChunkDigest, KnownPlace>> {
    return await this.#known.find(questions.filter(({ digest }) => this.#sequencer.find(digest) === null));
  }

  /** The place of a chunk that need not be stored. */
  place(digest: ChunkDigest, length: number, known: ReadonlyMap<ChunkDigest, KnownPlace>): DataExtent | null {
    const seen = this.#sequencer.find(digest);
    if (seen !== null) {
      return { kind: 'data', runBlock: seen.block, block: -1, offset: seen.offset, length, digest };
    }
    const place = known.get(digest);
    if (place === undefined) return null;
    return { kind: 'data', runBlock: -1, block: place.block, offset: place.offset, length, digest };
  }

  /**
   * Whether the quota is used up, by blocks as they were sealed and the open one as it is: the same answer whatever
   * is under way. Not before the first chunk, so that every run gets further.
   */
  isFull(): boolean | Promise<boolean> {
    return this.#atMost() < this.#quota || this.#sequencer.blocks === 0 ? false : this.#isReallyFull();
  }

  /** Stores a chunk that has no place yet. Call `settle` afterwards. */
  store(digest: ChunkDigest, bytes: Uint8Array, hold: () => () => void): DataExtent {
    const { block, offset } = this.#sequencer.store(digest, bytes, hold);
    return { kind: 'data', runBlock: block, block: -1, offset, length: bytes.length, digest };
  }

  /** More records, or extents of a large file, have passed. Call `settle` afterwards. */
  passed(records = 1): void {
    this.#sequencer.passed(records);
  }

  /** Has blocks that were closed sealed and stored; a promise only if there are any. */
  settle(): Promise<void> | undefined {
    const closed = this.#sequencer.takeClosed();
    return closed.length === 0 ? undefined : this.#submit(closed);
  }

  /** Between batches: bounds what is remembered in memory. */
  async tidy(): Promise<void> {
    if (this.#sequencer.remembered < this.#rememberedMax) return;
    await this.#sealer.drain();
    if (await this.#known.spill()) this.#sequencer.forget();
  }

  /** All chunks are in stored blocks when this resolves. */
  async finish(): Promise<void> {
    this.#sequencer.flush();
    await this.#submit(this.#sequencer.takeClosed());
    await this.#sealer.drain();
  }

  /** Sealed bytes of all blocks, at most: a block under way counts as if it could not be compressed. */
  #atMost(): number {
    const { blocks, bytes, plainBytes } = this.#settled;
    const underWay = this.#sequencer.plainBytes - plainBytes;
    return bytes + underWay + (this.#sequencer.blocks - blocks) * SEAL_BYTES;
  }

  async #isReallyFull(): Promise<boolean> {
    await this.#sealer.drain();
    return this.#atMost() >= this.#quota;
  }

  async #submit(jobs: readonly BlockJob[]): Promise<void> {
    for (const job of jobs) await this.#sealer.submit(job);
  }

  async #store(job: BlockJob, { id, bytes }: SealedBlock): Promise<void> {
    if (!this.#table.has(id, STORED)) await this.#writer.add({ id, bytes });
    this.blocks.stored(job.block, this.#table.add(id, bytes.length, STORED));
    this.#settled.blocks++;
    this.#settled.bytes += bytes.length;
    this.#settled.plainBytes += job.payload.length;
    await this.#known.stored({ id, length: bytes.length, chunks: job.chunks });
  }
}
