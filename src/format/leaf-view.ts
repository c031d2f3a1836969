import { bufferOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import { PATH_BYTES_MAX, type PathKey } from '../model/paths.ts';
import { readRecordBody, type TreeKey, type TreeRecord } from './tree-page.ts';

/** What a page begins with: its kind and how many records it has. */
export const LEAF_HEAD_BYTES = 5;
/** From a record's type to its inode. */
const HEAD_BYTES = 52;
const FILE = 1;
const DIRECTORY = 2;
const SYMLINK = 3;
const CHARACTER_DEVICE = 6;
const BLOCK_DEVICE = 7;
const CONTINUATION = 8;
const UNSETTLED = 1;
const PARTIAL = 2;
const LINKED = 4;
const EXTRA = 8;
const DATA = 1;
const HOLE = 2;
const INLINE = 3;
const ID_BYTES = 32;
const DATA_BYTES = 2 * ID_BYTES + 8;
const TWO_TO_32 = 2 ** 32;

/** One run of a file's bytes that is in a block: where the block's id stands in the payload, and the chunk's place. */
export interface ViewedChunk {
  readonly idAt: number;
  readonly offset: number;
  readonly length: number;
}

export interface Tally {
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** Sizes of the files. */
  readonly bytes: number;
}

/**
 * The records of a leaf page where they are: what has not changed is compared with these bytes and copied, and never
 * becomes an object. Only for pages of one's own, opened with one's own key: names are not checked one by one.
 */
export class LeafView {
  readonly payload: Buffer;
  readonly count: number;
  /** Where each record begins, and the end. */
  readonly starts: Uint32Array;
  /** Where each record's type is, behind its path. */
  readonly bodies: Uint32Array;
  /** How many bytes its path shares with the one before. */
  readonly shared: Uint16Array;
  /** Where the bytes of its path that are its own are. */
  readonly names: Uint32Array;
  /** Where the list of its extents is; its end, if it has none. */
  readonly #extents: Uint32Array;
  /** How many bytes of the file these are. */
  readonly #covered: Float64Array;
  readonly first: TreeKey | null;
  readonly last: TreeKey | null;

  /** @throws LowtideError `damaged-page` */
  constructor(payload: Uint8Array) {
    this.payload = bufferOf(payload);
    const scan = new Scan(this.payload, LEAF_HEAD_BYTES);
    const path = new LastPath(scan);
    this.count = scan.u32(1);
    if (this.count > this.payload.length) throw scan.damaged();
    this.starts = new Uint32Array(this.count + 1);
    this.bodies = new Uint32Array(this.count);
    this.shared = new Uint16Array(this.count);
    this.names = new Uint32Array(this.count);
    this.#extents = new Uint32Array(this.count);
    this.#covered = new Float64Array(this.count);
    for (let number = 0; number < this.count; number++) this.#pass(scan, path, number);
    this.starts[this.count] = scan.at;
    if (scan.at !== this.payload.length) throw scan.damaged();
    this.last = this.count === 0 ? null : this.#keyAt(this.count - 1, path.toKey());
    this.first = this.count === 0 ? null : this.#keyAt(0, this.pathAt(0));
  }

  isEntry(number: number): boolean {
    return this.payload[this.bodies[number]!] !== CONTINUATION;
  }

  /** Reads all paths before it: not for many. */
  pathAt(number: number): PathKey {
    let path = '';
    for (let at = 0; at <= number; at++) {
      const own = this.payload.toString('latin1', this.names[at], this.bodies[at]);
      path = path.slice(0, this.shared[at]) + own;
    }
    return path as PathKey;
  }

  recordAt(number: number, path: PathKey): TreeRecord {
    const body = this.payload.subarray(this.bodies[number], this.starts[number + 1]);
    return readRecordBody(body, path);
  }

  /**
   * An entry whose extents, if it is a file, cover all of it; settled, and with attributes: what can be carried over as
   * it is if the file is still the same.
   */
  isWhole(number: number): boolean {
    const body = this.bodies[number]!;
    const flags = this.payload[body + 1]!;
    if (!this.isEntry(number) || (flags & (UNSETTLED | PARTIAL)) !== 0 || (flags & EXTRA) === 0) return false;
    return this.payload[body] !== FILE || this.#covered[number] === this.sizeAt(number);
  }

  /** The size that an entry says. */
  sizeAt(number: number): number {
    const at = this.bodies[number]! + 12;
    return this.payload.readUInt32BE(at) * TWO_TO_32 + this.payload.readUInt32BE(at + 4);
  }

  /** Number of the file system of an entry with several names; -1 for others. */
  linkAt(number: number): number {
    const body = this.bodies[number]!;
    if ((this.payload[body + 1]! & LINKED) === 0) return -1;
    return new Scan(this.payload, body + HEAD_BYTES).varint();
  }

  /** Where the target of a symbolic link is. */
  targetAt(number: number): { readonly start: number; readonly end: number } {
    const scan = new Scan(this.payload, this.specificAt(number));
    const length = scan.varint();
    return { start: scan.at, end: scan.at + length };
  }

  /** Where the numbers of a device are: behind the link's number. */
  specificAt(number: number): number {
    const body = this.bodies[number]!;
    const scan = new Scan(this.payload, body + HEAD_BYTES);
    if ((this.payload[body + 1]! & LINKED) !== 0) scan.varint();
    return scan.at;
  }

  /** The chunks of a record. */
  chunksAt(number: number): ViewedChunk[] {
    const chunks: ViewedChunk[] = [];
    const { payload } = this;
    const scan = new Scan(payload, this.#extents[number]!);
    if (scan.at === this.starts[number + 1]!) return chunks;
    for (let left = scan.varint(); left > 0; left--) {
      const at = scan.at + 1;
      if (payload[scan.at] === DATA)
        chunks.push({ idAt: at, offset: scan.u32(at + ID_BYTES), length: scan.u32(at + ID_BYTES + 4) });
      scan.extent();
    }
    return chunks;
  }

  tally(from: number, to: number): Tally {
    let [files, directories, others, bytes] = [0, 0, 0, 0];
    for (let number = from; number < to; number++) {
      const type = this.payload[this.bodies[number]!]!;
      if (type === FILE) {
        files++;
        bytes = Math.min(bytes + this.sizeAt(number), Number.MAX_SAFE_INTEGER);
      } else if (type === DIRECTORY) directories++;
      else if (type !== CONTINUATION) others++;
    }
    return { files, directories, others, bytes };
  }

  #pass(scan: Scan, path: LastPath, number: number): void {
    this.starts[number] = scan.at;
    this.shared[number] = scan.varint();
    const own = scan.varint();
    this.names[number] = scan.at;
    const isSame = path.next(this.shared[number], own, number === 0);
    this.bodies[number] = scan.at;
    if (isSame && (number === 0 || this.isEntry(number))) throw scan.damaged();
    const hasExtents = scan.head();
    this.#extents[number] = scan.at;
    if (hasExtents) this.#covered[number] = scan.extents();
  }

  #keyAt(number: number, path: PathKey): TreeKey {
    const isEntry = this.isEntry(number);
    const offset = isEntry ? 0 : new Scan(this.payload, this.bodies[number]! + 1).varint();
    return { path, offset };
  }
}

/** Goes over the bytes of a page. */
class Scan {
  readonly payload: Buffer;
  at: number;

  constructor(payload: Buffer, at: number) {
    this.payload = payload;
    this.at = at;
  }

  damaged(): LowtideError {
    return new LowtideError('damaged-page', `a page of the tree is damaged at byte ${this.at}`);
  }

  u32(at: number): number {
    if (at + 4 > this.payload.length) throw this.damaged();
    return this.payload.readUInt32BE(at);
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.payload[this.at++];
      if (byte === undefined || scale > Number.MAX_SAFE_INTEGER) throw this.damaged();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  skip(count: number): void {
    this.at += count;
    if (this.at > this.payload.length) throw this.damaged();
  }

  /** Passes what a record has before its extents; false if it has none. */
  head(): boolean {
    const type = this.payload[this.at];
    if (type === CONTINUATION) this.continuationHead();
    else this.entryHead();
    return type === CONTINUATION || type === FILE;
  }

  continuationHead(): void {
    this.at++;
    this.varint();
  }

  entryHead(): void {
    const type = this.payload[this.at]!;
    const flags = this.payload[this.at + 1]!;
    if (type === undefined || type < FILE || type > BLOCK_DEVICE || flags > 15) throw this.damaged();
    this.skip(HEAD_BYTES);
    if ((flags & LINKED) !== 0) this.varint();
    if (type === SYMLINK) this.skip(this.varint());
    if (type === CHARACTER_DEVICE || type === BLOCK_DEVICE) this.skip(8);
    if ((flags & EXTRA) !== 0) this.skip(this.varint());
  }

  /** Passes them and says how many bytes of the file they stand for. */
  extents(): number {
    let covered = 0;
    for (let left = this.varint(); left > 0; left--) covered += this.extent();
    return covered;
  }

  /** Passes one and says how many bytes of the file it stands for. */
  extent(): number {
    const kind = this.payload[this.at++];
    let length = 0;
    if (kind === DATA) {
      length = this.u32(this.at + ID_BYTES + 4);
      this.skip(DATA_BYTES);
    } else if (kind === HOLE) {
      length = this.u32(this.at) * TWO_TO_32 + this.u32(this.at + 4);
      this.skip(8);
    } else if (kind === INLINE) {
      length = this.varint();
      this.skip(length);
    }
    if (length === 0) throw this.damaged();
    return length;
  }
}

/** The path of the record that a scan is at. */
class LastPath {
  readonly #scan: Scan;
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  constructor(scan: Scan) {
    this.#scan = scan;
  }

  toKey(): PathKey {
    return this.#bytes.toString('latin1', 0, this.#length) as PathKey;
  }

  /** Takes the path of the next record, which must not come before the last. Whether it is the same. */
  next(shared: number, own: number, isFirst: boolean): boolean {
    const scan = this.#scan;
    const { payload, at: from } = scan;
    const length = shared + own;
    scan.skip(own);
    if (shared > this.#length || length > PATH_BYTES_MAX) throw scan.damaged();
    const isSame = own === 0 && shared === this.#length;
    const grows = shared === this.#length || (own > 0 && payload[from]! > this.#bytes[shared]!);
    if (!isFirst && !isSame && !grows) throw scan.damaged();
    if (length > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], 2 * length);
    for (let byte = 0; byte < own; byte++) this.#bytes[shared + byte] = payload[from + byte]!;
    this.#length = length;
    return isSame && !isFirst;
  }
}
