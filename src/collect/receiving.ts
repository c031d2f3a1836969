import type { BlockWriter } from '../depot/block-writer.ts';
import type { Depot } from '../depot/depot.ts';
import { checkBlockId, HEADER_BYTES, parseBlockHeader, type SealedBlock } from '../format/block.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId, DomainKeyId } from '../model/ids.ts';
import { mappedAhead } from '../model/ahead.ts';
import { freeAtOnce } from '../model/bytes.ts';
import { untilStopped } from '../model/stopping.ts';
import type { World } from '../world/ports.ts';

/** The pack group of everything that was collected: retention alone drains it. */
export const SHARED_GROUP = 'shared';

/** Pack writers, each used by one stream at a time and kept open between orders, so that small nights fill packs. */
export class WriterPool {
  readonly #depot: Depot;
  readonly #free: BlockWriter[] = [];
  #taken = 0;

  constructor(depot: Depot) {
    this.#depot = depot;
  }

  /** Streams that have a writer now. */
  get taken(): number {
    return this.#taken;
  }

  take(): BlockWriter {
    this.#taken++;
    return this.#free.pop() ?? this.#depot.writer(SHARED_GROUP, 'late');
  }

  /** Only a writer whose last flush succeeded may come back. */
  giveBack(writer: BlockWriter): void {
    this.#taken--;
    this.#free.push(writer);
  }

  async giveUp(writer: BlockWriter): Promise<void> {
    this.#taken--;
    await writer.abandon();
  }

  async close(): Promise<void> {
    for (const writer of this.#free.splice(0)) await writer.finish();
  }
}

export interface Stream {
  /** Given up: their memory is freed once they are durable. */
  readonly from: AsyncIterable<SealedBlock>;
  readonly domains: ReadonlySet<DomainKeyId>;
  readonly world: Pick<World, 'limits' | 'work'>;
  /** Ends the stream at the next block: what came before is made durable and acknowledged. */
  readonly stop: AbortSignal;
  /** Told of every good block that comes. */
  readonly onBlock: (bytes: number) => void;
  /** Runs what takes time here and not at the client. */
  readonly working: <T>(work: () => Promise<T>) => Promise<T>;
  /** Told of bytes that are durable now. */
  readonly onDurable: (bytes: number) => Promise<void>;
}

/** What is hashed, or was and waits for its turn: of one stream and of all together, as shares of a group. */
const AHEAD_SHARE = 1 / 4;
const AHEAD_SHARE_OF_ALL = 1;

/**
 * Receives blocks (SEED fig. 5, S4): each is checked against its id and domain, then made durable in groups, and only
 * then acknowledged. One group is made durable while the next comes in. What a broken stream leaves behind in the writer
 * is made durable too: it need not travel again.
 */
export async function* receiveBlocks(pool: WriterPool, stream: Stream): AsyncGenerator<readonly BlockId[]> {
  const intake = new Intake(pool, stream);
  const { flush_bytes } = stream.world.limits;
  const blocks = mappedAhead(untilStopped(stream.from, stream.stop), (block) => checked(block, stream), {
    weigh: ({ bytes }) => bytes.length,
    get most() {
      return flush_bytes * Math.min(AHEAD_SHARE, AHEAD_SHARE_OF_ALL / Math.max(1, pool.taken));
    },
  });
  try {
    for await (const block of blocks) {
      const durable = await intake.add(block);
      if (durable.length > 0) yield durable;
    }
    const rest = await intake.flush();
    if (rest.length > 0) yield rest;
  } finally {
    await intake.end();
  }
}

/** The writer of one stream, and what it was given. */
class Intake {
  readonly #pool: WriterPool;
  readonly #stream: Stream;
  readonly #writer: BlockWriter;
  /** Lengths of the blocks that are not known to be durable, in order. */
  readonly #lengths: number[] = [];
  /** Nothing has failed in the writer. */
  #sound = true;

  constructor(pool: WriterPool, stream: Stream) {
    this.#pool = pool;
    this.#stream = stream;
    this.#writer = pool.take();
  }

  /** @returns what has become durable meanwhile */
  async add(block: SealedBlock): Promise<readonly BlockId[]> {
    this.#lengths.push(block.bytes.length);
    await this.#storing(() => this.#writer.add(block, () => freeAtOnce(block.bytes)));
    return await this.#tell(this.#writer.takeDurable());
  }

  async flush(): Promise<readonly BlockId[]> {
    return await this.#tell(await this.#storing(() => this.#writer.flush()));
  }

  async end(): Promise<void> {
    try {
      if (this.#sound && this.#lengths.length > 0) await this.flush();
    } finally {
      if (this.#sound) this.#pool.giveBack(this.#writer);
      else await this.#pool.giveUp(this.#writer);
    }
  }

  async #tell(ids: readonly BlockId[]): Promise<readonly BlockId[]> {
    if (ids.length === 0) return ids;
    const bytes = this.#lengths.splice(0, ids.length).reduce((sum, length) => sum + length, 0);
    await this.#stream.onDurable(bytes);
    return ids;
  }

  async #storing<T>(work: () => Promise<T>): Promise<T> {
    this.#sound = false;
    const result = await this.#stream.working(work);
    this.#sound = true;
    return result;
  }
}

async function checked(block: SealedBlock, stream: Stream): Promise<SealedBlock> {
  const { world, domains, onBlock } = stream;
  const { length } = block.bytes;
  const header = parseBlockHeader(block.bytes, world.limits.block_bytes_max);
  if (block.bytes.length !== HEADER_BYTES + header.sealedLength) {
    throw new LowtideError('damaged-block', 'a block is longer or shorter than its header says');
  }
  if (!domains.has(header.domain)) {
    throw new LowtideError('forbidden', "a block belongs to a key domain that is not this client's");
  }
  const good = await checkBlockId(world.work, block);
  onBlock(length);
  return good;
}
