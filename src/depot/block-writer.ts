import type { SealedBlock } from '../format/block.ts';
import type { BlockId } from '../model/ids.ts';

/**
 * Puts blocks into packs of one group. Used by one caller at a time. Every block must have been checked against its
 * id, by sealing it or by hashing what arrived: the index believes the id.
 */
export interface BlockWriter {
  /** Buffered: says nothing about durability. Errors of writing may come here or at the next `flush`. */
  add(block: SealedBlock): Promise<void>;
  /** The ids added since the last flush: all of them are durable and indexed now. */
  flush(): Promise<readonly BlockId[]>;
  /** Flushes, completes the pack and closes it. The writer is of no use afterwards. */
  finish(): Promise<void>;
  /** Throws away what was never made durable; durable blocks stay. */
  abandon(): Promise<void>;
  /** Bytes added so far. */
  readonly bytes: number;
}
