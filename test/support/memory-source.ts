import type { BlockSource } from '../../src/format/block-source.ts';
import { blockIdOf, type SealedBlock } from '../../src/format/block.ts';
import type { BlockId, SnapshotId } from '../../src/model/ids.ts';

/** Blocks in memory. What it holds, and how it fails, is the test's to change. */
export class MemorySource implements BlockSource {
  /** A test takes blocks out, or puts other bytes under an id. */
  readonly blocks: Map<BlockId, Uint8Array>;
  /** The ids of each call. */
  readonly calls: (readonly BlockId[])[] = [];
  readonly scopes = new Set<SnapshotId>();
  given = 0;
  /** Thrown instead of the next block, once that many were given; null never. */
  failure: { after: number; error: Error } | null = null;

  constructor(blocks: ReadonlyMap<BlockId, Uint8Array>) {
    this.blocks = new Map(blocks);
  }

  async *fetch(scope: SnapshotId, ids: readonly BlockId[]): AsyncGenerator<SealedBlock> {
    this.calls.push(ids);
    this.scopes.add(scope);
    for (const id of ids) {
      if (this.failure !== null && this.given >= this.failure.after) throw this.failure.error;
      const bytes = this.blocks.get(id);
      if (bytes === undefined) continue;
      this.given++;
      yield { id, bytes };
    }
  }

  /** Changes one bit in the middle of a block. */
  damage(id: BlockId): void {
    const bytes = Buffer.from(this.blocks.get(id)!);
    bytes[bytes.length >> 1]! ^= 1;
    this.blocks.set(id, bytes);
  }
}

/** Gives unchecked what it holds, and compares it with its ids where it is asked to, as a depot on the own disk does. */
export class OwnDisk extends MemorySource {
  readonly checked = true;
  readonly quarantined = new Set<BlockId>();

  override async *fetch(scope: SnapshotId, ids: readonly BlockId[]): AsyncGenerator<SealedBlock> {
    for await (const block of this.fetchUnchecked(scope, ids)) {
      if (blockIdOf(block.bytes) === block.id) yield block;
      else this.quarantined.add(block.id);
    }
  }

  async *fetchUnchecked(scope: SnapshotId, ids: readonly BlockId[]): AsyncGenerator<SealedBlock> {
    for await (const { id, bytes } of super.fetch(scope, ids)) yield { id, bytes: new Uint8Array(bytes) };
  }
}
