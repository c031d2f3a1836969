import { createHash } from 'node:crypto';
import type { Depot } from '../../depot/depot.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { BlockId, ChunkDigest } from '../../model/ids.ts';
import type { World } from '../../world/ports.ts';
import { type Base, treePageLoader } from '../base/tree.ts';
import { type BlockTable, IN_BASE, IN_DEPOT, SPARSE, STORED } from '../blocks/block-table.ts';
import { ChunkIndex, type IndexedBlock, type IndexedPlace } from './chunk-index.ts';
import { IndexRebuild } from './index-rebuild.ts';
import type { BackupMode, BackupPlan } from '../plan.ts';

export interface Question {
  readonly digest: ChunkDigest;
  /** Its file is this one chunk, less than `chunk_bytes_min` long. */
  readonly isSmallFile: boolean;
}

export interface KnownPlace {
  /** Number in the BlockTable. */
  readonly block: number;
  readonly offset: number;
}

/** Rows of blocks that nobody has any more are bearable up to this many, or as many as there are good ones. */
const STALE_MIN = 10_000;

/** The chunk index of a spool is per job, the one of a depot that stands alone is for all. */
export function chunkIndexPath(depotPath: string, job: string, mode: BackupMode): string {
  return mode === 'depot' ? `${depotPath}/chunks.db` : `${depotPath}/chunks-${shortOf(job)}.db`;
}

/** Where the run keeps what it found out about the blocks of its snapshot, for the next one of the job. */
export function sparseBlocksPath(depotPath: string, job: string): string {
  return `${depotPath}/sparse-${shortOf(job)}`;
}

const shortOf = (job: string): string => createHash('sha256').update(job).digest('hex').slice(0, 16);

/**
 * Which chunks need not be stored because they are somewhere already. The base rule (DESIGN 4.6): with a spool an
 * answer is only ever a block of refs(base); with `files`, only for files of a single small chunk, so that a changed
 * file is whole in the spool; alone, a block that the depot has. The index is opened when it is first needed.
 */
export class KnownChunks {
  readonly #world: World;
  readonly #depot: Depot;
  readonly #plan: BackupPlan;
  readonly #base: Base | null;
  readonly #table: BlockTable;
  readonly #path: string;
  readonly #mode: BackupMode;
  #index: ChunkIndex | null = null;
  #covers = false;
  /** The index cannot be used: everything is new, and the next run builds another. */
  #broken = false;
  /** Chunks of this run may be in the index only. */
  #spilled = false;

  constructor(world: World, depot: Depot, plan: BackupPlan, base: Base | null, table: BlockTable) {
    this.#world = world;
    this.#depot = depot;
    this.#plan = plan;
    this.#base = base;
    this.#table = table;
    this.#path = chunkIndexPath(depot.path, plan.job, plan.spool);
    // What is stored of a file in part, and of a tree in part, must be leant on, or the run would never get further.
    this.#mode =
      plan.spool === 'files' && base !== null && !base.signed.manifest.complete ? 'difference' : plan.spool;
  }

  /** The places of those chunks that need not be stored. */
  async find(questions: readonly Question[]): Promise<Map<ChunkDigest, KnownPlace>> {
    const asked = this.#spilled ? questions : questions.filter((question) => this.#mayLeanOn(question));
    if (asked.length === 0) return new Map();
    const found = await this.#lookup(asked.map(({ digest }) => digest));
    if (this.#plan.spool === 'depot') await this.#askDepot(found);
    const known = new Map<ChunkDigest, KnownPlace>();
    for (const question of asked) {
      const place = found.get(question.digest);
      if (place === undefined) continue;
      const block = this.#table.find(place.block);
      const good = this.#mayLeanOn(question) ? STORED | this.#lasting : STORED;
      if (block < 0 || !this.#table.is(block, good) || this.#table.is(block, SPARSE)) continue;
      known.set(question.digest, { block, offset: place.offset });
    }
    return known;
  }

  /** This run has stored a block. */
  async stored(block: IndexedBlock): Promise<void> {
    await this.#using((index) => index.put(block));
  }

  /** From now on `find` also knows what this run has stored so far. False if it cannot. */
  async spill(): Promise<boolean> {
    const flushed = await this.#using(async (index) => {
      await index.flush();
      return true;
    });
    this.#spilled ||= flushed === true;
    return flushed === true;
  }

  /** The snapshot has been made, and will be the next base: makes the index durable for it. */
  async finish(tree: BlockId): Promise<void> {
    const base = this.#base?.signed.manifest.tree.id ?? null;
    if (this.#broken || tree === base) return;
    if (this.#index === null && (await this.#world.disk.stat(this.#path)) === null) return;
    await this.#using(async (index) => {
      const covers = base === null || this.#covers || (await index.covers(base));
      if (!covers) return await index.flush();
      if ((await index.blocks()) > 2 * (await this.#liveBlocks()) + STALE_MIN) return await this.#discard();
      if (this.#plan.spool === 'depot') await index.alsoCover(tree);
      else await index.cover(base === null ? [tree] : [tree, base]);
    });
  }

  async close(): Promise<void> {
    const index = this.#index;
    this.#index = null;
    await index?.close();
  }

  /** Alone, the depot itself is asked even for blocks of the base: one of them may be damaged. */
  get #lasting(): number {
    return this.#mode === 'depot' ? IN_DEPOT : IN_BASE;
  }

  #mayLeanOn({ isSmallFile }: Question): boolean {
    if (this.#mode === 'depot') return true;
    return this.#base !== null && (isSmallFile || this.#mode === 'difference');
  }

  async #lookup(digests: readonly ChunkDigest[]): Promise<Map<ChunkDigest, IndexedPlace>> {
    const found = await this.#using(async (index) => {
      if (!this.#covers) await this.#coverAll(index);
      this.#covers = true;
      return await index.lookup(digests);
    });
    return found ?? new Map<ChunkDigest, IndexedPlace>();
  }

  /** Reads the trees of snapshots that the index does not know yet. */
  async #coverAll(index: ChunkIndex): Promise<void> {
    const load = treePageLoader(this.#world, this.#depot, this.#plan);
    const rebuild = new IndexRebuild(this.#world, this.#depot, load, index);
    if (this.#plan.spool !== 'depot') {
      const base = this.#base?.signed;
      if (base !== undefined && !(await index.covers(base.manifest.tree.id))) await rebuild.add(base);
      return;
    }
    for await (const signed of this.#depot.manifests()) {
      if (!('error' in signed) && !(await index.covers(signed.manifest.tree.id))) await rebuild.add(signed);
    }
  }

  async #askDepot(found: ReadonlyMap<ChunkDigest, IndexedPlace>): Promise<void> {
    const unknown = new Map<BlockId, number>();
    for (const { block, blockLength } of found.values()) {
      if (!this.#table.has(block, STORED | this.#lasting)) unknown.set(block, blockLength);
    }
    if (unknown.size === 0) return;
    for (const id of await this.#depot.has(null, [...unknown.keys()])) {
      this.#table.add(id, unknown.get(id)!, IN_DEPOT);
    }
  }

  async #liveBlocks(): Promise<number> {
    return this.#plan.spool === 'depot' ? (await this.#depot.usage()).blocks : this.#table.size;
  }

  /** Runs with the index; undefined if the index is broken. */
  async #using<T>(run: (index: ChunkIndex) => Promise<T>): Promise<T | undefined> {
    if (this.#broken) return undefined;
    try {
      this.#index ??= await ChunkIndex.open(this.#world, this.#path);
      return await run(this.#index);
    } catch (error) {
      if (!isLowtideError(error, 'disk-failed')) throw error;
      this.#broken = true;
      await this.#discard();
      this.#world.monitor.problem({
        path: this.#path,
        code: error.code,
        message: `${error.message}: it is a cache, and is built anew by the next backup`,
        severity: 'note',
      });
      return undefined;
    }
  }

  async #discard(): Promise<void> {
    await this.close();
    await ChunkIndex.remove(this.#world, this.#path);
  }
}
