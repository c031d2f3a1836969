import type { BlockType, SealedBlock } from '../format/block.ts';
import type { BlockId, DomainKeyId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import type { Random, Rereading } from '../world/ports.ts';
import type { BlockIndex } from './block-index.ts';
import { encodePackHeader, encodeTrailer, PACK_SALT_BYTES, type PackEntry } from './pack-format.ts';
import type { PackSink, PackStore } from './pack-store.ts';
import type { Unflushed } from './unflushed.ts';

/** What every part of one depot that touches packs works with. */
export interface PackRoom {
  readonly limits: Limits;
  readonly random: Random;
  readonly store: PackStore;
  readonly index: BlockIndex;
  /** Keys of the packs that writers of this process have open. */
  readonly active: Set<number>;
  readonly unflushed: Unflushed;
}

/** A block with what the index must know of it. */
export interface PackedBlock extends SealedBlock {
  readonly domain: DomainKeyId;
  readonly type: BlockType;
}

/** One pack being written. Blocks count when `commit` resolves. After any error only `giveUp` may be called. */
export class PackWriter {
  readonly #room: PackRoom;
  readonly #key: number;
  readonly #name: string;
  readonly #header: Uint8Array;
  readonly #sink: PackSink;
  /** Of everything written. */
  readonly #entries: PackEntry[] = [];
  readonly #held = new Set<BlockId>();
  #size = 0;
  #durableSize = 0;
  /** The bytes are durable, but the index may or may not have taken them. */
  #indexInDoubt = false;

  private constructor(room: PackRoom, key: number, name: string, sink: PackSink) {
    this.#room = room;
    this.#key = key;
    this.#name = name;
    this.#sink = sink;
    this.#header = encodePackHeader(room.random.bytes(PACK_SALT_BYTES));
  }

  /** The row comes before the file: a file without a row is never one of which something was acknowledged and lost. */
  static async begin(room: PackRoom, group: string, again: Rereading): Promise<PackWriter> {
    const { key, name } = await room.index.beginPack(group);
    room.active.add(key);
    try {
      return new PackWriter(room, key, name, await room.store.create(name, again));
    } catch (error) {
      room.active.delete(key);
      await room.index.forgetPacks([key]).catch(ignore);
      throw error;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** The block is in this pack and durable. */
  holds(id: BlockId): boolean {
    return this.#held.has(id);
  }

  /**
   * Makes these blocks durable, then indexes them.
   * @param seal completes the pack with its trailer; the pack is closed then
   */
  async commit(blocks: readonly PackedBlock[], seal: boolean): Promise<void> {
    if (blocks.length === 0 && !seal) return;
    const known = this.#entries.length;
    const pieces = this.#size === 0 ? [this.#header] : [];
    this.#size += this.#size === 0 ? this.#header.length : 0;
    for (const block of blocks) {
      const { id, bytes, domain, type } = block;
      this.#entries.push({ id, offset: this.#size, length: bytes.length, domain, type });
      pieces.push(bytes);
      this.#size += bytes.length;
    }
    const complete = seal || this.#size >= this.#room.limits.pack_bytes;
    if (complete) {
      const trailer = encodeTrailer(this.#header, this.#entries);
      pieces.push(trailer);
      this.#size += trailer.length;
    }
    await this.#sink.write(pieces);
    await this.#sink.sync();
    this.#indexInDoubt = true;
    const added = this.#entries.slice(known);
    await this.#room.index.addBlocks(this.#key, added, this.#size, complete ? 'sealed' : 'open');
    this.#indexInDoubt = false;
    this.#durableSize = this.#size;
    for (const entry of added) this.#held.add(entry.id);
    if (complete) await this.#close();
  }

  get closed(): boolean {
    return !this.#room.active.has(this.#key);
  }

  /**
   * Closes the pack without a trailer: what is durable stays, the rest of the file no longer counts. Best effort, as
   * recovery does the same again.
   */
  async giveUp(): Promise<void> {
    if (this.closed) return;
    await this.#close().catch(ignore);
    const { store, index } = this.#room;
    try {
      if (this.#indexInDoubt && !(await this.#settleDoubt())) return;
      if (this.#durableSize === 0) {
        await store.remove([this.#name]);
        await index.forgetPacks([this.#key]);
      } else {
        await index.setPackState(this.#key, 'cut');
        await store.cut(this.#name, this.#durableSize);
      }
    } catch (error) {
      ignore(error);
    }
  }

  /**
   * A commit that failed may have reached the journal all the same, and then a crash may bring it back: so long its
   * bytes must stay where they are. A later commit that succeeds has taken its place.
   * @returns whether the commit has never been
   */
  async #settleDoubt(): Promise<boolean> {
    const { index } = this.#room;
    await index.setPackState(this.#key, 'cut');
    return (await index.pack(this.#key))?.bytes === this.#durableSize;
  }

  async #close(): Promise<void> {
    this.#room.active.delete(this.#key);
    await this.#sink.close();
  }
}

/** For what recovery would do again, and what must not hide the error that led to it. */
function ignore(_error: unknown): void {}
