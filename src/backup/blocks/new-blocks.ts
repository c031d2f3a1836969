import type { SealedBlock } from '../../format/block.ts';
import type { BlockCopies } from './block-copies.ts';
import type { BlockWriter } from '../../depot/block-writer.ts';
import type { Depot } from '../../depot/depot.ts';

/** Blocks between two flushes: bounds what the writer remembers of them. */
const FLUSHED = 1024;

/** Stores the blocks of one group. A run that stands alone asks the depot first; a spool holds what its base lacks. */
export class NewBlocks {
  readonly #writer: BlockWriter;
  readonly #depot: Pick<Depot, 'has'> | null;
  readonly #copies: BlockCopies;
  #sinceFlush = 0;
  storedBlocks = 0;
  storedBytes = 0;

  /**
   * @param depot to be asked whether it has a block already; null: every block is stored
   * @param copies of what waits in this writer
   */
  constructor(writer: BlockWriter, depot: Pick<Depot, 'has'> | null, copies: BlockCopies) {
    this.#writer = writer;
    this.#depot = depot;
    this.#copies = copies;
  }

  /** Bytes of the memory that blocks wait in until they are durable. */
  get heldBytes(): number {
    return this.#copies.heldBytes;
  }

  /** The block's bytes are of no more use when this resolves. */
  async add(block: SealedBlock): Promise<void> {
    if (this.#depot !== null && (await this.#depot.has(null, [block.id])).has(block.id)) return;
    const { bytes, release } = this.#copies.copy(block.bytes, this.#writer.position);
    await this.#writer.add({ id: block.id, bytes }, release);
    this.storedBlocks++;
    this.storedBytes += block.bytes.length;
    if (++this.#sinceFlush < FLUSHED) return;
    this.#sinceFlush = 0;
    await this.#writer.flush();
  }
}
