import type { BlockId, SnapshotId } from '../model/ids.ts';
import type { SealedBlock } from './block.ts';

/** Somewhere that blocks can be had from: an own spool, a relay, a center. */
export interface BlockSource {
  /** What it gives has been checked against its id here already, in this process. */
  readonly checked?: boolean;
  /**
   * The blocks of `ids` that this source has, each at most once, in any order. A block it lacks is left out. The
   * caller checks every block against its id, and has the memory of its bytes to itself. Throws LowtideError when the
   * source as a whole cannot answer.
   * @param scope the snapshot whose refs name the blocks: the right to read is the right to read that snapshot
   */
  fetch(scope: SnapshotId, ids: readonly BlockId[], stop: AbortSignal): AsyncIterable<SealedBlock>;
  /**
   * As `fetch`, of a source that would compare them with their ids itself, and here does not: for whoever opens them, which finds
   * every changed bit, and asks `fetch` for those that do not open. It then sees to what is damaged.
   */
  fetchUnchecked?(scope: SnapshotId, ids: readonly BlockId[], stop: AbortSignal): AsyncIterable<SealedBlock>;
}
