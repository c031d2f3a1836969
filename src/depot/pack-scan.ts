import { blockIdOf, HEADER_BYTES, parseBlockHeader, type BlockHeader } from '../format/block.ts';
import { bufferOf } from '../model/bytes.ts';
import { isLowtideError } from '../model/errors.ts';
import {
  isPackHeader,
  PACK_HEADER_BYTES,
  type PackEntry,
  parseTrailer,
  TRAILER_MAGIC,
  TRAILER_TAIL_BYTES,
  trailerLength,
} from './pack-format.ts';
import type { PackStore } from './pack-store.ts';

export interface PackContents {
  readonly entries: readonly PackEntry[];
  /** Whether a trailer named them; else the pack was read through and every id computed. */
  readonly trailer: boolean;
}

/** What a pack holds, by its trailer if it has a good one, else by reading it through. */
export async function readPack(store: PackStore, name: string, maxBlock: number): Promise<PackContents> {
  const entries = await readTrailer(store, name);
  if (entries !== null) return { entries, trailer: true };
  return { entries: await scanPack(store, name, maxBlock), trailer: false };
}

/** The entries of a pack's trailer; null if it has none that fits. */
export async function readTrailer(store: PackStore, name: string): Promise<PackEntry[] | null> {
  const size = (await store.size(name)) ?? 0;
  if (size < PACK_HEADER_BYTES + TRAILER_TAIL_BYTES) return null;
  const header = await store.read(name, 0, PACK_HEADER_BYTES);
  const tail = await store.read(name, size - TRAILER_TAIL_BYTES, TRAILER_TAIL_BYTES);
  const length = trailerLength(tail);
  if (!isPackHeader(header) || length === null || length > size - PACK_HEADER_BYTES) return null;
  return parseTrailer(header, await store.read(name, size - length, length), size - length);
}

/**
 * Reads a pack through and finds every block that is whole in it. The id of each is computed, so whatever is found is
 * true; damage hides the block it is in, and what follows is found again at the next block's magic.
 */
export async function scanPack(store: PackStore, name: string, maxBlock: number): Promise<PackEntry[]> {
  const size = (await store.size(name)) ?? 0;
  const window = new PackWindow(store, name, size, maxBlock + 2 * HEADER_BYTES);
  const entries: PackEntry[] = [];
  let at = PACK_HEADER_BYTES;
  let chained = true;
  while (at + HEADER_BYTES <= size) {
    const header = headerOf(await window.at(at, HEADER_BYTES), maxBlock);
    const end = header === null ? size + 1 : at + HEADER_BYTES + header.sealedLength;
    if (header === null || end > size) {
      at = await nextMagic(window, at + 1, size);
      chained = false;
      continue;
    }
    const followed = await startsSomething(window, end, size);
    // Something that only looks like a block, inside of one, is not worth hashing unless it leads somewhere.
    if (chained || followed) {
      const id = blockIdOf(await window.at(at, end - at));
      entries.push({ id, offset: at, length: end - at, domain: header.domain, type: header.type });
    }
    // A damaged length leads nowhere: then what the block seems to cover is searched too.
    at = followed ? end : await nextMagic(window, at + HEADER_BYTES, size);
    chained = followed;
  }
  return entries;
}

const BLOCK_MAGIC = Buffer.from('LTB1', 'latin1');

/** A later format's block counts as damage here: this program could not have put it into the pack. */
function headerOf(bytes: Uint8Array, maxBlock: number): BlockHeader | null {
  try {
    return parseBlockHeader(bytes, maxBlock);
  } catch (error) {
    if (isLowtideError(error)) return null;
    throw error;
  }
}

async function startsSomething(window: PackWindow, at: number, size: number): Promise<boolean> {
  if (at === size) return true;
  const start = bufferOf(await window.at(at, TRAILER_MAGIC.length));
  return start.subarray(0, BLOCK_MAGIC.length).equals(BLOCK_MAGIC) || start.equals(TRAILER_MAGIC);
}

/** Where a block may start at or after `from`; `size` if nowhere. */
async function nextMagic(window: PackWindow, from: number, size: number): Promise<number> {
  for (let at = from; at + HEADER_BYTES <= size;) {
    const bytes = bufferOf(await window.rest(at));
    const found = bytes.indexOf(BLOCK_MAGIC);
    if (found !== -1) return at + found;
    at += Math.max(1, bytes.length - BLOCK_MAGIC.length + 1);
  }
  return size;
}

/** A sliding view of one pack, so that it is read once, in large pieces. */
class PackWindow {
  readonly #store: PackStore;
  readonly #name: string;
  readonly #size: number;
  readonly #length: number;
  #start = 0;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(store: PackStore, name: string, size: number, length: number) {
    this.#store = store;
    this.#name = name;
    this.#size = size;
    this.#length = length;
  }

  /** Fewer than `length` bytes only at the end. */
  async at(position: number, length: number): Promise<Uint8Array> {
    const end = Math.min(this.#size, position + length);
    if (position < this.#start || end > this.#start + this.#bytes.length) await this.#move(position);
    return this.#bytes.subarray(position - this.#start, end - this.#start);
  }

  /** As much as there is in memory from `position`, at least one byte before the end. */
  async rest(position: number): Promise<Uint8Array> {
    await this.at(position, BLOCK_MAGIC.length);
    return this.#bytes.subarray(position - this.#start);
  }

  async #move(position: number): Promise<void> {
    this.#bytes = await this.#store.read(this.#name, position, Math.min(this.#length, this.#size - position));
    this.#start = position;
  }
}
