import type { BlockWriter } from '../depot/block-writer.ts';
import type { Depot } from '../depot/depot.ts';
import { checkBlockId, HEADER_BYTES, parseBlockHeader, type SealedBlock } from '../format/block.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId, DomainKeyId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import { untilStopped } from '../model/stopping.ts';

/** The pack group of everything that was collected: retention alone drains it. */
export const SHARED_GROUP = 'shared';

/** Pack writers, each used by one stream at a time and kept open between orders, so that small nights fill packs. */
export class WriterPool {
  readonly #depot: Depot;
  readonly #free: BlockWriter[] = [];

  constructor(depot: Depot) {
    this.#depot = depot;
  }

  take(): BlockWriter {
    return this.#free.pop() ?? this.#depot.writer(SHARED_GROUP);
  }

  /** Only a writer whose last flush succeeded may come back. */
  giveBack(writer: BlockWriter): void {
    this.#free.push(writer);
  }

  async close(): Promise<void> {
    for (const writer of this.#free.splice(0)) await writer.finish();
  }
}

export interface Stream {
  readonly from: AsyncIterable<SealedBlock>;
  readonly domains: ReadonlySet<DomainKeyId>;
  readonly limits: Limits;
  /** Ends the stream at the next block: what came before is made durable and acknowledged. */
  readonly stop: AbortSignal;
  /** Told of every good block that comes. */
  readonly onBlock: (bytes: number) => void;
  /** Runs what takes time here and not at the client. */
  readonly working: <T>(work: () => Promise<T>) => Promise<T>;
  /** Told of bytes that are durable now. */
  readonly onDurable: (bytes: number) => Promise<void>;
}

/**
 * Receives blocks (SEED fig. 5, S4): each is checked against its id and domain, then made durable in groups, and only
 * then acknowledged. What a broken stream leaves behind in the writer is made durable too: it need not travel again.
 */
export async function* receiveBlocks(pool: WriterPool, stream: Stream): AsyncGenerator<readonly BlockId[]> {
  const writer = pool.take();
  let pending = 0;
  let sound = true;
  const storing = async <T>(work: () => Promise<T>): Promise<T> => {
    sound = false;
    const result = await stream.working(work);
    sound = true;
    return result;
  };
  const flush = async (): Promise<readonly BlockId[]> => {
    const ids = await storing(() => writer.flush());
    const bytes = pending;
    pending = 0;
    await stream.onDurable(bytes);
    return ids;
  };
  try {
    for await (const block of untilStopped(stream.from, stream.stop)) {
      checkIncoming(block, stream);
      stream.onBlock(block.bytes.length);
      await storing(() => writer.add(block));
      pending += block.bytes.length;
      if (pending >= stream.limits.flush_bytes) yield await flush();
    }
    if (pending > 0) yield await flush();
  } finally {
    if (sound && pending > 0) await flush();
    if (sound) pool.giveBack(writer);
    else await writer.abandon();
  }
}

function checkIncoming(block: SealedBlock, stream: Stream): void {
  const header = parseBlockHeader(block.bytes, stream.limits.block_bytes_max);
  if (block.bytes.length !== HEADER_BYTES + header.sealedLength) {
    throw new LowtideError('damaged-block', 'a block is longer or shorter than its header says');
  }
  if (!stream.domains.has(header.domain)) {
    throw new LowtideError('forbidden', "a block belongs to a key domain that is not this client's");
  }
  checkBlockId(block);
}
