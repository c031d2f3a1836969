import type { BlockWriter } from '../depot/block-writer.ts';
import { parseBlockHeader, type SealedBlock } from '../format/block.ts';
import { freeAtOnce } from '../model/bytes.ts';
import { isLowtideError } from '../model/errors.ts';
import type { DomainKeyId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import type { Above } from './parts.ts';
import type { WriterPool } from './receiving.ts';

export interface CachingParts {
  readonly above: Above;
  readonly writers: WriterPool;
  readonly limits: Limits;
  /** Of whoever is served: blocks of others would not be found again. */
  readonly domains: ReadonlySet<DomainKeyId>;
}

/**
 * Blocks on their way from above to a restore below, kept in the relay's store as far as its cache has room: the next
 * restore of the same need not cross the line above again. Nothing leans on them, and a disk that fails costs the restore
 * nothing.
 */
export async function* caching(
  parts: CachingParts,
  from: AsyncIterable<SealedBlock>,
): AsyncGenerator<SealedBlock> {
  const keeper = new Keeper(parts);
  try {
    for await (const block of from) {
      await keeper.keep(block);
      yield block;
    }
  } finally {
    await keeper.end();
  }
}

class Keeper {
  readonly #parts: CachingParts;
  #writer: BlockWriter | null = null;
  #pending = 0;
  /** No room, or the disk has failed. */
  #over = false;

  constructor(parts: CachingParts) {
    this.#parts = parts;
  }

  async keep({ id, bytes }: SealedBlock): Promise<void> {
    const { above, writers, limits, domains } = this.#parts;
    if (this.#over || !domains.has(parseBlockHeader(bytes, limits.block_bytes_max).domain)) return;
    await this.#surviving(async () => {
      if (this.#pending === 0 && !(await above.mayCache())) {
        this.#over = true;
        return;
      }
      this.#writer ??= writers.take();
      // The reader has the bytes to itself.
      const copy = new Uint8Array(bytes);
      await this.#writer.add({ id, bytes: copy }, () => freeAtOnce(copy));
      this.#pending += bytes.length;
      if (this.#pending >= limits.flush_bytes) await this.#flush();
    });
  }

  async end(): Promise<void> {
    await this.#surviving(() => this.#flush());
    if (this.#writer !== null) this.#parts.writers.giveBack(this.#writer);
  }

  async #flush(): Promise<void> {
    if (this.#pending === 0) return;
    await this.#writer?.flush();
    this.#pending = 0;
    this.#parts.above.cached();
  }

  /** What the disk would not take is not kept, and is served all the same. */
  async #surviving(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      this.#over = true;
      this.#pending = 0;
      await this.#writer?.abandon();
      this.#writer = null;
    }
  }
}
