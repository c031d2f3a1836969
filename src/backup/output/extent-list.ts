import type { TreeRecord } from '../../format/tree-page.ts';
import { type DataExtent, type Entry, type Extent, extentLength } from '../../model/entries.ts';
import type { ChunkDigest } from '../../model/ids.ts';
import type { BlockTable } from '../blocks/block-table.ts';

const STRIDE = 44;
const DIGEST_AT = 12;
const DIGEST_BYTES = 32;
const HOLE = 0xffffffff;
const INLINE = 0xfffffffe;
const TWO_TO_32 = 2 ** 32;

/**
 * The extents of one file, packed: its first record says whether it is unsettled, which is known only when all of it
 * has been read, and a file of 1 TB has a million extents.
 */
export class ExtentList {
  readonly #table: BlockTable;
  #packed = Buffer.alloc(4 * STRIDE);
  readonly #inline: Uint8Array[] = [];
  #count = 0;
  #length = 0;

  constructor(table: BlockTable) {
    this.#table = table;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of the file that are covered. */
  get length(): number {
    return this.#length;
  }

  /** @param block its number in the table */
  addData(block: number, offset: number, length: number, digest: ChunkDigest): void {
    const at = this.#next(block, offset, length);
    this.#packed.write(digest, at + DIGEST_AT, 'hex');
    this.#length += length;
  }

  addHole(length: number): void {
    this.#next(HOLE, Math.floor(length / TWO_TO_32), length % TWO_TO_32);
    this.#length += length;
  }

  addInline(bytes: Uint8Array): void {
    this.#next(INLINE, this.#inline.length, bytes.length);
    this.#inline.push(bytes);
    this.#length += bytes.length;
  }

  clear(): void {
    this.#inline.length = 0;
    this.#count = 0;
    this.#length = 0;
  }

  copy(): ExtentList {
    const copy = new ExtentList(this.#table);
    copy.#packed = Buffer.from(this.#packed.subarray(0, this.#count * STRIDE));
    copy.#inline.push(...this.#inline);
    copy.#count = this.#count;
    copy.#length = this.#length;
    return copy;
  }

  all(): Extent[] {
    return this.#extents(0, this.#count);
  }

  /** The file's records: its entry with the first extents, then continuations with up to `most` extents each. */
  *records(entry: Entry, most: number): Generator<TreeRecord> {
    yield { kind: 'entry', entry: { ...entry, extents: this.#extents(0, most) } };
    let offset = 0;
    for (let first = most; first < this.#count; first += most) {
      for (let index = first - most; index < first; index++) offset += extentLength(this.#extentAt(index));
      yield { kind: 'continuation', path: entry.path, offset, extents: this.#extents(first, most) };
    }
  }

  #next(first: number, second: number, third: number): number {
    const at = this.#count * STRIDE;
    if (at === this.#packed.length)
      this.#packed = Buffer.concat([this.#packed], Math.max(1, this.#count) * 2 * STRIDE);
    this.#packed.writeUInt32LE(first, at);
    this.#packed.writeUInt32LE(second, at + 4);
    this.#packed.writeUInt32LE(third, at + 8);
    this.#count++;
    return at;
  }

  #extents(first: number, most: number): Extent[] {
    const extents: Extent[] = [];
    for (let index = first; index < Math.min(first + most, this.#count); index++) {
      extents.push(this.#extentAt(index));
    }
    return extents;
  }

  #extentAt(index: number): Extent {
    const at = index * STRIDE;
    const block = this.#packed.readUInt32LE(at);
    const offset = this.#packed.readUInt32LE(at + 4);
    const length = this.#packed.readUInt32LE(at + 8);
    if (block === HOLE) return { kind: 'hole', length: offset * TWO_TO_32 + length };
    if (block === INLINE) return { kind: 'inline', bytes: this.#inline[offset]! };
    const start = at + DIGEST_AT;
    const digest = this.#packed.toString('hex', start, start + DIGEST_BYTES) as DataExtent['digest'];
    return { kind: 'data', block: this.#table.idOf(block), offset, length, digest };
  }
}
