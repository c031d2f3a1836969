import { type Entry, ENTRY_TYPES, type EntryType, type Extent, extentLength } from '../model/entries.ts';
import { PATH_BYTES_MAX, type PathKey } from '../model/paths.ts';
import type { UnixNanos } from '../model/time.ts';
import { ByteWriter } from './byte-writer.ts';
import type { TreeRecord } from './tree-page.ts';

export const LEAF = 1;
export const CONTINUATION = 8;
export const UNSETTLED = 1;
export const PARTIAL = 2;
export const LINKED = 4;
export const EXTRA = 8;
export const DATA = 1;
export const HOLE = 2;
export const INLINE = 3;
export const NANOS = 1_000_000_000n;
export const HASH_BYTES = 32;

/** A whole file of one name, whose stat is in the bytes of its record already. */
export interface PlainFile {
  readonly path: PathKey;
  readonly size: number;
  /** From its type to its inode; the second byte is zero. */
  readonly head: Uint8Array;
  readonly unsettled: boolean;
  readonly extra: Uint8Array | undefined;
  /** All of it; null if it is empty. */
  readonly extent: Extent | null;
}

/** The bytes of a page's records: where each begins (and the end), and where it goes on behind its path. */
interface RecordBytes {
  readonly payload: Uint8Array;
  readonly starts: Uint32Array;
  readonly bodies: Uint32Array;
}

export interface PathRange {
  readonly first: PathKey;
  readonly last: PathKey;
}

/** Writes leaf records one by one, so that the builder can see a page grow. */
export class LeafWriter {
  readonly #writer = new ByteWriter();
  #previous = '';
  count = 0;

  get length(): number {
    return this.#writer.length;
  }

  add(record: TreeRecord): void {
    const path = record.kind === 'entry' ? record.entry.path : record.path;
    writePath(this.#writer, this.#previous, path);
    this.#previous = path;
    this.count++;
    if (record.kind === 'entry') writeEntry(this.#writer, record.entry);
    else {
      this.#writer.u8(CONTINUATION);
      this.#writer.varint(record.offset);
      writeExtents(this.#writer, record.extents);
    }
  }

  addPlain({ path, head, unsettled, extra, extent }: PlainFile): void {
    const writer = this.#writer;
    writePath(writer, this.#previous, path);
    this.#previous = path;
    this.count++;
    writer.u8(head[0]!);
    writer.u8((unsettled ? UNSETTLED : 0) | (extra === undefined ? 0 : EXTRA));
    writer.raw(head.subarray(2));
    if (extra !== undefined) {
      writer.varint(extra.length);
      writer.raw(extra);
    }
    writer.varint(extent === null ? 0 : 1);
    if (extent !== null) writeExtent(writer, extent);
  }

  /**
   * Records of another page as they are.
   * @param first path of the first of them
   * @param last path of the last
   */
  addRun(view: RecordBytes, from: number, to: number, { first, last }: PathRange): void {
    writePath(this.#writer, this.#previous, first);
    this.#writer.raw(view.payload.subarray(view.bodies[from], view.starts[to]));
    this.#previous = last;
    this.count += to - from;
  }

  /** The page's payload; the writer starts anew. */
  finish(): Uint8Array {
    const head = new ByteWriter(8);
    head.u8(LEAF);
    head.u32(this.count);
    const payload = Buffer.concat([head.slice(), this.#writer.slice()]);
    this.#writer.reset();
    this.#previous = '';
    this.count = 0;
    return payload;
  }
}

/** A path shares its first bytes with the one before it in the page. */
export function writePath(writer: ByteWriter, previous: string, path: string): void {
  if (path.length > PATH_BYTES_MAX)
    throw new RangeError(`a path of ${path.length} bytes has no place in a tree`);
  let shared = 0;
  const most = Math.min(previous.length, path.length);
  while (shared < most && previous.charCodeAt(shared) === path.charCodeAt(shared)) shared++;
  writer.varint(shared);
  writer.varint(path.length - shared);
  writer.latin1(shared === 0 ? path : path.slice(shared));
}

function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.u8(ENTRY_TYPES.indexOf(entry.type));
  writer.u8(
    (entry.unsettled ? UNSETTLED : 0) |
      (entry.partial ? PARTIAL : 0) |
      (entry.link === undefined ? 0 : LINKED) |
      (entry.extra === undefined ? 0 : EXTRA),
  );
  writer.u16(entry.mode);
  writer.u32(entry.uid);
  writer.u32(entry.gid);
  writer.safe64(entry.size);
  writeTime(writer, entry.mtime);
  writeTime(writer, entry.ctime);
  writer.u64(entry.inode);
  if (entry.link !== undefined) writer.varint(entry.link.fileSystem);
  if (entry.type === 'symlink') {
    writer.varint(entry.target?.length ?? 0);
    writer.latin1(entry.target ?? '');
  }
  if (isDevice(entry.type)) {
    writer.u32(entry.rdev?.major ?? 0);
    writer.u32(entry.rdev?.minor ?? 0);
  }
  if (entry.extra !== undefined) {
    writer.varint(entry.extra.length);
    writer.raw(entry.extra);
  }
  if (entry.type === 'file') writeExtents(writer, entry.extents);
}

export const isDevice = (type: EntryType): boolean => type === 'character-device' || type === 'block-device';

/** Seconds rounded down and nanoseconds from 0 to 999,999,999, so that times before 1970 keep their order. */
function writeTime(writer: ByteWriter, time: UnixNanos): void {
  const nanos = ((time % NANOS) + NANOS) % NANOS;
  writer.i64((time - nanos) / NANOS);
  writer.u32(Number(nanos));
}

function writeExtents(writer: ByteWriter, extents: readonly Extent[]): void {
  writer.varint(extents.length);
  for (const extent of extents) writeExtent(writer, extent);
}

function writeExtent(writer: ByteWriter, extent: Extent): void {
  if (extentLength(extent) === 0) throw new TypeError('an extent has at least one byte');
  if (extent.kind === 'data') {
    writer.u8(DATA);
    writer.hex(extent.block, HASH_BYTES);
    writer.u32(extent.offset);
    writer.u32(extent.length);
    writer.hex(extent.digest, HASH_BYTES);
  } else if (extent.kind === 'hole') {
    writer.u8(HOLE);
    writer.safe64(extent.length);
  } else {
    writer.u8(INLINE);
    writer.varint(extent.bytes.length);
    writer.raw(extent.bytes);
  }
}
