import { crc32 } from 'node:zlib';
import { SEAL_BYTES } from '../../format/block.ts';
import type { LeafView } from '../../format/leaf-view.ts';
import { bytesOfHex, equalBytes, hexOf } from '../../model/bytes.ts';
import type { Entry, Extent } from '../../model/entries.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { BlockId } from '../../model/ids.ts';
import { readWhole, writeDurably } from '../../world/disk/durable.ts';
import type { World } from '../../world/ports.ts';
import { type BlockTable, SPARSE } from './block-table.ts';

import { Column } from '../chunks/packed-keys.ts';

const ID_BYTES = 32;
const MARK_BYTES = 4;
/** More are not dealt with in one run anyway. */
const BLOCKS_MAX = 4096;
const FILE_BYTES_MAX = (BLOCKS_MAX + 2) * ID_BYTES;

/** Counts what a snapshot still uses of each block, to find those that are mostly dead (DESIGN 4.3). */
export class LiveBytes {
  readonly #smallest: number;
  readonly #live = new Column();
  /** The end of the last chunk that is used: with the sealed length the best that is known of the plain length. */
  readonly #ends = new Column();
  /** 1 if a file of one small chunk uses the block: it can be stored elsewhere at little cost. */
  readonly #movable = new Column();

  /** @param smallest length from which a chunk has a block alone, which is alive or gone */
  constructor(smallest: number) {
    this.#smallest = smallest;
  }

  /** @param number of the block in the table */
  count(
    number: number,
    { offset, length }: Pick<Extract<Extent, { kind: 'data' }>, 'offset' | 'length'>,
    isWholeFile: boolean,
  ): void {
    if (length >= this.#smallest) return;
    this.#live.set(number, this.#live.get(number) + length);
    this.#ends.set(number, Math.max(this.#ends.get(number), offset + length));
    if (isWholeFile) this.#movable.set(number, 1);
  }

  /** Blocks of which less than half is used, and something of it can be moved. */
  sparse(table: BlockTable): BlockId[] {
    const found: BlockId[] = [];
    for (let number = 0; number < table.size && found.length < BLOCKS_MAX; number++) {
      const plain = Math.max(this.#ends.get(number), table.lengthOf(number) - SEAL_BYTES);
      if (this.#movable.get(number) === 1 && this.#live.get(number) < plain / 2)
        found.push(table.idOf(number));
    }
    return found;
  }
}

/** Chooses the files of the base that are stored again because their block is mostly dead, so many bytes a run. */
export class Renewal {
  readonly #table: BlockTable;
  readonly #smallest: number;
  readonly #anySparse: boolean;
  #bytesLeft: number;

  /** @param table with its sparse blocks marked */
  constructor(table: BlockTable, smallest: number, bytes: number) {
    this.#table = table;
    this.#anySparse = table.hasAny(SPARSE);
    this.#smallest = smallest;
    this.#bytesLeft = bytes;
  }

  /** Whether `wants` may say so of any file with such chunks. */
  mayWant(view: LeafView, number: number): boolean {
    if (!this.#anySparse) return false;
    const isSparse = (at: number): boolean => {
      const block = this.#table.findBytes(view.payload, at);
      return block >= 0 && this.#table.is(block, SPARSE);
    };
    return view.chunksAt(number).some(({ idAt }) => isSparse(idAt));
  }

  wants({ size, extents }: Entry): boolean {
    if (size >= this.#smallest || size > this.#bytesLeft) return false;
    const wanted = extents.some((extent) => extent.kind === 'data' && this.#table.has(extent.block, SPARSE));
    if (wanted) this.#bytesLeft -= size;
    return wanted;
  }
}

/**
 * Keeps the list beside the depot for the next run. It may be deleted at any time: then one run moves nothing.
 * @param tree of the snapshot that the blocks are of
 */
export async function writeSparseBlocks(
  world: World,
  path: string,
  tree: BlockId,
  blocks: readonly BlockId[],
): Promise<void> {
  if (blocks.length === 0) {
    await world.disk.remove(path);
    return;
  }
  const body = Buffer.concat([tree, ...blocks].map(bytesOfHex));
  await writeDurably(world.disk, path, Buffer.concat([body, markOf(body)]));
}

/** The list that was kept of this tree; empty if there is none that is whole. */
export async function readSparseBlocks(world: World, path: string, tree: BlockId): Promise<BlockId[]> {
  if ((await world.disk.stat(path)) === null) return [];
  let bytes: Uint8Array;
  try {
    bytes = await readWhole(world.disk, path, FILE_BYTES_MAX);
  } catch (error) {
    if (isLowtideError(error, 'disk-failed', 'too-large', 'not-found')) return [];
    throw error;
  }
  const body = bytes.subarray(0, Math.max(0, bytes.length - MARK_BYTES));
  if (!equalBytes(bytes.subarray(body.length), markOf(body))) return [];
  const ids: BlockId[] = [];
  for (let at = 0; at < body.length; at += ID_BYTES)
    ids.push(hexOf(body.subarray(at, at + ID_BYTES)) as BlockId);
  return ids[0] === tree ? ids.slice(1) : [];
}

function markOf(body: Uint8Array): Buffer {
  const mark = Buffer.alloc(MARK_BYTES);
  mark.writeUInt32BE(crc32(body));
  return mark;
}
