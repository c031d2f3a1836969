import type { SealedBlock } from '../format/block.ts';
import type { DomainKeys } from '../format/domain-keys.ts';
import type { Work } from '../world/ports.ts';
import { later } from './ahead.ts';
import type { BlockJob } from './sequencer.ts';
import { sealTask } from './tasks.ts';

/** Seals several blocks at once and stores them one by one, in the order in which they were submitted. */
export class Sealer {
  readonly #work: Work;
  readonly #keys: DomainKeys;
  readonly #level: number;
  readonly #store: (job: BlockJob, block: SealedBlock) => Promise<void>;
  readonly #most: number;
  readonly #sealing: { readonly job: BlockJob; readonly block: Promise<SealedBlock> }[] = [];

  constructor(
    work: Work,
    keys: DomainKeys,
    level: number,
    store: (job: BlockJob, block: SealedBlock) => Promise<void>,
  ) {
    this.#work = work;
    this.#keys = keys;
    this.#level = level;
    this.#store = store;
    this.#most = work.lanes + 1;
  }

  async submit(job: BlockJob): Promise<void> {
    const { payload, chunk } = job;
    const input = { keys: this.#keys, level: this.#level, payload, chunk };
    const block = later(this.#work.run(sealTask, input).finally(job.release));
    this.#sealing.push({ job, block });
    while (this.#sealing.length > this.#most) await this.#storeOldest();
  }

  /** Everything submitted is stored when this resolves. */
  async drain(): Promise<void> {
    while (this.#sealing.length > 0) await this.#storeOldest();
  }

  async #storeOldest(): Promise<void> {
    const { job, block } = this.#sealing.shift()!;
    await this.#store(job, await block);
  }
}
