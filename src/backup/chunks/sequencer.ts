import { bufferOf } from '../../model/bytes.ts';
import type { ChunkDigest } from '../../model/ids.ts';
import type { Limits } from '../../model/limits.ts';
import { sharedBytes } from '../read/slabs.ts';
import { Column, PackedKeys } from './packed-keys.ts';

/** Where a chunk is among the blocks of this run. */
export interface RunPlace {
  /** Blocks are numbered from 0 in the order in which their first chunk came. */
  readonly block: number;
  readonly offset: number;
}

export interface PlacedChunk {
  readonly digest: ChunkDigest;
  readonly offset: number;
  readonly length: number;
}

/** A block that has got all its chunks and waits to be sealed. */
export interface BlockJob {
  readonly block: number;
  readonly payload: Uint8Array;
  /** Set if it is one large chunk. */
  readonly chunk: ChunkDigest | null;
  readonly chunks: readonly PlacedChunk[];
  /** To be called when the payload has been sealed. */
  readonly release: () => void;
}

interface OpenRun {
  readonly block: number;
  readonly chunks: PlacedChunk[];
  length: number;
  /** Records of the walk since it was opened. */
  records: number;
}

const TWO_TO_32 = 2 ** 32;

/**
 * The one place that decides which block a new chunk goes into and where blocks end: from digests and lengths in walk
 * order alone, so that the number of workers changes nothing (DESIGN 4.2). A large chunk is a block. Small ones are
 * gathered into a run, which closes before it would exceed `block_plain_bytes`, after a chunk whose digest says so,
 * and when so many records of the walk have passed that those waiting for its id would take too much memory.
 */
export class Sequencer {
  readonly #limits: Limits;
  readonly #recordsMax: number;
  readonly #seen = new PackedKeys();
  readonly #seenBlock = new Column();
  readonly #seenOffset = new Column();
  #open: OpenRun | null = null;
  /**
   * The bytes of the open run. Not shared, so that small files are copied as fast as memory allows, and so is the whole run once:
   * between shared memories V8 copies byte by byte what does not lie at the same place of a word.
   */
  readonly #gathered: Buffer;
  #blocks = 0;
  #plainBytes = 0;
  #closed: BlockJob[] = [];
  /** Memory of runs that have been sealed. */
  readonly #spare: Uint8Array[] = [];

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#gathered = Buffer.alloc(limits.block_plain_bytes);
    this.#recordsMax = Math.ceil(limits.block_plain_bytes / limits.inline_bytes_max);
  }

  /** Blocks begun so far. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Bytes of all chunks stored so far. */
  get plainBytes(): number {
    return this.#plainBytes;
  }

  /** Bytes in the run that is open. */
  get openBytes(): number {
    return this.#open?.length ?? 0;
  }

  /** Chunks that `find` remembers. */
  get remembered(): number {
    return this.#seen.size;
  }

  /** Where this run has already put the chunk. */
  find(digest: ChunkDigest): RunPlace | null {
    const number = this.#seen.find(digest);
    if (number < 0) return null;
    return { block: this.#seenBlock.get(number), offset: this.#seenOffset.get(number) };
  }

  /**
   * Puts a chunk that `find` does not know into a block. Look at `takeClosed` afterwards.
   * @param hold called if the bytes must stay as they are until the block's job is released; gives what releases them
   */
  store(digest: ChunkDigest, bytes: Uint8Array, hold: () => () => void): RunPlace {
    this.#plainBytes += bytes.length;
    const place =
      bytes.length >= this.#limits.chunk_bytes_min
        ? this.#storeAlone(digest, bytes, hold())
        : this.#storeInRun(digest, bytes);
    this.#remember(digest, place);
    return place;
  }

  /** So many more records of the walk have been dealt with. */
  passed(records: number): void {
    if (this.#open === null) return;
    this.#open.records += records;
    if (this.#open.records >= this.#recordsMax) this.flush();
  }

  /** Closes the open run. */
  flush(): void {
    if (this.#open === null) return;
    const { block, chunks, length } = this.#open;
    this.#open = null;
    const payload = this.#spare.pop() ?? sharedBytes(this.#limits.block_plain_bytes);
    this.#gathered.copy(payload, 0, 0, length);
    const release = (): void => void this.#spare.push(payload);
    this.#closed.push({ block, payload: payload.subarray(0, length), chunk: null, chunks, release });
  }

  /** Blocks that have been closed since the last call, in the order in which they are to be stored. */
  takeClosed(): readonly BlockJob[] {
    if (this.#closed.length === 0) return this.#closed;
    const closed = this.#closed;
    this.#closed = [];
    return closed;
  }

  /** Forgets where chunks are, those of the open run excepted: somebody else remembers them. */
  forget(): void {
    this.#seen.clear();
    const open = this.#open;
    for (const { digest, offset } of open?.chunks ?? [])
      this.#remember(digest, { block: open!.block, offset });
  }

  #remember(digest: ChunkDigest, place: RunPlace): void {
    const number = this.#seen.add(digest);
    this.#seenBlock.set(number, place.block);
    this.#seenOffset.set(number, place.offset);
  }

  #storeAlone(digest: ChunkDigest, bytes: Uint8Array, release: () => void): RunPlace {
    const block = this.#blocks++;
    const chunks = [{ digest, offset: 0, length: bytes.length }];
    this.#closed.push({ block, payload: bytes, chunk: digest, chunks, release });
    return { block, offset: 0 };
  }

  #storeInRun(digest: ChunkDigest, bytes: Uint8Array): RunPlace {
    if (this.openBytes + bytes.length > this.#limits.block_plain_bytes) this.flush();
    const run = (this.#open ??= this.#newRun());
    const offset = run.length;
    bufferOf(bytes).copy(this.#gathered, offset);
    run.length += bytes.length;
    run.chunks.push({ digest, offset, length: bytes.length });
    const ends = (TWO_TO_32 * bytes.length) / this.#limits.block_run_bytes_average;
    if (Number.parseInt(digest.slice(0, 8), 16) < ends) this.flush();
    return { block: run.block, offset };
  }

  #newRun(): OpenRun {
    return { block: this.#blocks++, chunks: [], length: 0, records: 0 };
  }
}
