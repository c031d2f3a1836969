import { SEAL_BYTES, type SealedBlock } from '../../format/block.ts';
import type { DomainKeys } from '../../format/domain-keys.ts';
import type { World } from '../../world/ports.ts';
import { later } from '../ahead.ts';
import type { BlockJob } from '../chunks/sequencer.ts';
import { sharedBytes } from '../read/slabs.ts';
import { type SealOutput, sealTask } from '../read/tasks.ts';

/** zstd's own default, and ours. */
const DEFAULT_LEVEL = 3;
const RUN_LEVEL = 2;

/**
 * The level for one block. Small files are compressed a MiB together, which saves more than a level does: by default
 * they get one less, which takes three quarters of the time for 1 % (text) to 5 % (source, programs) more bytes.
 */
function levelFor(level: number, isRun: boolean): number {
  return isRun && level === DEFAULT_LEVEL ? RUN_LEVEL : level;
}

interface Sealing {
  readonly job: BlockJob;
  readonly target: Uint8Array;
  readonly sealed: Promise<SealOutput>;
}

/** Seals several blocks at once and stores them one by one, in the order in which they were submitted. */
export class Sealer {
  readonly #world: Pick<World, 'work' | 'limits'>;
  readonly #keys: DomainKeys;
  readonly #level: number;
  readonly #store: (job: BlockJob, block: SealedBlock) => Promise<void>;
  readonly #most: number;
  readonly #sealing: Sealing[] = [];
  /** Memory that blocks are sealed in and that is free: for runs, and for large chunks. */
  readonly #spare: { readonly runs: Uint8Array[]; readonly chunks: Uint8Array[] } = { runs: [], chunks: [] };
  /** Bytes of all memory that blocks are sealed in. */
  heldBytes = 0;

  /** @param store the block's bytes are good until it resolves */
  constructor(
    world: Pick<World, 'work' | 'limits'>,
    keys: DomainKeys,
    level: number,
    store: (job: BlockJob, block: SealedBlock) => Promise<void>,
  ) {
    this.#world = world;
    this.#keys = keys;
    this.#level = level;
    this.#store = store;
    this.#most = world.work.lanes + 1;
  }

  async submit(job: BlockJob): Promise<void> {
    const { payload, chunk } = job;
    const target = this.#listOf(payload.length).pop() ?? this.#newTarget(payload.length);
    const level = levelFor(this.#level, chunk === null);
    const input = { keys: this.#keys, level, payload, chunk, target };
    const sealed = later(this.#world.work.run(sealTask, input).finally(job.release));
    this.#sealing.push({ job, target, sealed });
    while (this.#sealing.length > this.#most) await this.#storeOldest();
  }

  /** Everything submitted is stored when this resolves. */
  async drain(): Promise<void> {
    while (this.#sealing.length > 0) await this.#storeOldest();
  }

  async #storeOldest(): Promise<void> {
    const { job, target, sealed } = this.#sealing.shift()!;
    const { id, length } = await sealed;
    await this.#store(job, { id, bytes: target.subarray(0, length) });
    this.#listOf(job.payload.length).push(target);
  }

  #listOf(payloadLength: number): Uint8Array[] {
    return payloadLength <= this.#world.limits.block_plain_bytes ? this.#spare.runs : this.#spare.chunks;
  }

  #newTarget(payloadLength: number): Uint8Array {
    const { block_plain_bytes: run, chunk_bytes_max: chunk } = this.#world.limits;
    const length = SEAL_BYTES + (payloadLength <= run ? run : chunk);
    this.heldBytes += length;
    return sharedBytes(length);
  }
}
