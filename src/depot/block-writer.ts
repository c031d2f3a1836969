import { HEADER_BYTES, parseBlockHeader, type SealedBlock } from '../format/block.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';
import type { Rereading } from '../world/ports.ts';
import { PACK_HEADER_BYTES } from './pack-format.ts';
import { type PackedBlock, type PackRoom, PackWriter } from './pack-file.ts';

/**
 * Puts blocks into packs of one group. Used by one caller at a time. Every block must have been checked against its
 * id, by sealing it or by hashing what arrived: the index believes the id.
 *
 * `add`, `flush` and `finish` throw what the disk says (`disk-full`, `disk-failed`). The blocks are kept then, and the
 * next `flush` tries again; `abandon` gives them up.
 */
export interface BlockWriter {
  /**
   * Says nothing about durability: blocks are made durable in groups of about `limits.flush_bytes`, or fewer while many
   * writers fill groups, one of them while the next is filled.
   * @param release called when the bytes are no longer looked at: until then they must stay as they are
   */
  add(block: SealedBlock, release?: () => void): Promise<void>;
  /**
   * Makes all that was added durable. The ids of it that nobody was told of before: durable and indexed now. Call it
   * now and then.
   */
  flush(): Promise<readonly BlockId[]>;
  /** Those that are durable already, in the order in which they were added; each is told of once, here or by `flush`. */
  takeDurable(): readonly BlockId[];
  /** Flushes, completes the pack and closes it. The writer is of no use afterwards. */
  finish(): Promise<void>;
  /** Throws away what was never made durable; durable blocks stay. */
  abandon(): Promise<void>;
  /** Bytes added so far. */
  readonly bytes: number;
  /** Where in its pack the next block will be if nothing fails: what waits in memory at the same place of a page is written without a copy. */
  readonly position: number;
}

interface PendingBlock extends PackedBlock {
  readonly release: () => void;
}

function noop(): void {}

/** The BlockWriter of one depot and group. */
export class GroupWriter implements BlockWriter {
  readonly #room: PackRoom;
  readonly group: string;
  readonly #again: Rereading;
  readonly #onClose: (writer: GroupWriter) => void;
  #pack: PackWriter | null = null;
  #pending: PendingBlock[] = [];
  readonly #pendingIds = new Set<BlockId>();
  /** The group being made durable; never rejects. */
  #underWay: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;
  /** Of the group that is filled, in order, one that was added twice twice. */
  #added: BlockId[] = [];
  /** Not told of yet. */
  #durable: BlockId[] = [];
  #bytes = 0;
  /** Where the group that is filled begins. */
  #groupAt = PACK_HEADER_BYTES;
  #groupBytes = 0;
  #closed = false;

  constructor(room: PackRoom, group: string, again: Rereading, onClose: (writer: GroupWriter) => void) {
    this.#room = room;
    this.group = group;
    this.#again = again;
    this.#onClose = onClose;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get position(): number {
    return this.#groupAt + this.#groupBytes;
  }

  async add(block: SealedBlock, release = noop): Promise<void> {
    this.#requireOpen();
    const { id, bytes } = block;
    const { domain, type, sealedLength } = parseBlockHeader(bytes, this.#room.limits.block_bytes_max);
    if (bytes.length !== HEADER_BYTES + sealedLength) {
      throw new LowtideError('damaged-block', 'a block is longer or shorter than its header says');
    }
    this.#added.push(id);
    this.#bytes += bytes.length;
    this.#pend({ id, bytes, domain, type, release });
    if (!this.#room.unflushed.isEnough(this)) return;
    await this.#settle();
    this.#start(false);
  }

  async flush(): Promise<readonly BlockId[]> {
    this.#requireOpen();
    await this.#store(false);
    return this.takeDurable();
  }

  takeDurable(): readonly BlockId[] {
    return this.#durable.splice(0);
  }

  async finish(): Promise<void> {
    this.#requireOpen();
    await this.#store(true);
    await this.#sealEmpty();
    this.#close();
  }

  async abandon(): Promise<void> {
    if (this.#closed) return;
    this.#close();
    await this.#underWay;
    this.#takePending();
    await this.#pack?.giveUp();
  }

  async #store(seal: boolean): Promise<void> {
    await this.#underWay;
    // What failed while a group was stored in the background is in `#pending` again.
    this.#failure = null;
    if (this.#pending.length === 0) return;
    this.#start(seal);
    await this.#settle();
  }

  #pend(block: PendingBlock): void {
    if (this.#pendingIds.has(block.id)) {
      block.release();
      return;
    }
    this.#pending.push(block);
    this.#pendingIds.add(block.id);
    this.#groupBytes += block.bytes.length;
    this.#room.unflushed.add(this, block.bytes.length);
  }

  #takePending(): PendingBlock[] {
    const blocks = this.#pending;
    this.#pending = [];
    this.#pendingIds.clear();
    this.#groupBytes = 0;
    this.#room.unflushed.clear(this);
    return blocks;
  }

  /** Stores what is pending while the caller goes on. Only one group at a time. */
  #start(seal: boolean): void {
    const end = Math.max(this.#pack?.size ?? 0, PACK_HEADER_BYTES) + this.#groupBytes;
    this.#groupAt = seal || end >= this.#room.limits.pack_bytes ? PACK_HEADER_BYTES : end;
    const blocks = this.#takePending();
    const ids = this.#added.splice(0);
    const stored = (): void => void (this.#durable = this.#durable.concat(ids));
    this.#underWay = this.#commit(blocks, seal).then(stored, (error: unknown) => {
      this.#failure = { error };
      for (const block of [...blocks, ...this.#takePending()]) this.#pend(block);
      this.#added.unshift(...ids);
    });
  }

  async #settle(): Promise<void> {
    await this.#underWay;
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure.error;
  }

  /** A failed write or sync may have lost what the pack holds beyond its last good sync: once more, in another pack. */
  async #commit(blocks: readonly PendingBlock[], seal: boolean): Promise<void> {
    try {
      await this.#write(blocks, seal);
    } catch (error) {
      if (isLowtideError(error, 'disk-full')) throw error;
      await this.#write(blocks, seal);
    }
    for (const { release } of blocks) release();
  }

  async #write(given: readonly PackedBlock[], seal: boolean): Promise<void> {
    const blocks = await this.#lacking(given);
    const pack = (this.#pack ??= await PackWriter.begin(this.#room, this.group, this.#again));
    try {
      await pack.commit(blocks, seal);
      if (pack.closed) this.#pack = null;
    } catch (error) {
      this.#pack = null;
      await pack.giveUp();
      throw error;
    }
  }

  /** What the open pack does not hold. What was found damaged in it needs another one: a pack holds a block at one place. */
  async #lacking(blocks: readonly PackedBlock[]): Promise<readonly PackedBlock[]> {
    const pack = this.#pack;
    const held = pack === null ? [] : blocks.filter(({ id }) => pack.holds(id)).map(({ id }) => id);
    if (held.length === 0) return blocks;
    const had = await this.#room.index.present(held, null);
    if (had.size < held.length) await this.#sealEmpty();
    const inPack = new Set(held);
    return blocks.filter(({ id }) => !inPack.has(id) || !had.has(id));
  }

  /** Everything is durable; a pack without a trailer is as good, only slower to read when the index is lost. */
  async #sealEmpty(): Promise<void> {
    const pack = this.#pack;
    this.#pack = null;
    await pack?.commit([], true).catch(() => pack.giveUp());
  }

  #requireOpen(): void {
    if (this.#closed) throw new TypeError('this writer was finished or abandoned');
  }

  #close(): void {
    this.#closed = true;
    this.#onClose(this);
  }
}
