import {
  type DeviceNumber,
  ENTRY_TYPES,
  type Entry,
  type EntryType,
  type Extent,
  extentLength,
} from '../model/entries.ts';
import type { BlockId, ChunkDigest } from '../model/ids.ts';
import { PATH_BYTES_MAX, type PathKey } from '../model/paths.ts';
import type { UnixNanos } from '../model/time.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';

/**
 * The tree is an ordered map from (path, offset) to a record. A file's first record is its entry with its first
 * extents; what follows is continuation records, so that a huge file is many small records (format F20-F27).
 */
export type TreeRecord = EntryRecord | ContinuationRecord;

export interface EntryRecord {
  readonly kind: 'entry';
  readonly entry: Entry;
}

export interface ContinuationRecord {
  readonly kind: 'continuation';
  readonly path: PathKey;
  /** Byte offset in the file where these extents start, above 0. */
  readonly offset: number;
  readonly extents: readonly Extent[];
}

/** The greatest key of a page, and of everything below it. */
export interface TreeKey {
  readonly path: PathKey;
  readonly offset: number;
}

/** What an inner page says of a page below it. */
export interface TreeChild {
  readonly last: TreeKey;
  readonly id: BlockId;
  /** Bytes of the whole block. */
  readonly length: number;
  /** Entries below, continuations not counted. */
  readonly entries: number;
  /** Sum of the sizes of the files below. */
  readonly bytes: number;
}

export type TreePage =
  | { readonly kind: 'leaf'; readonly records: readonly TreeRecord[] }
  | { readonly kind: 'inner'; readonly level: number; readonly children: readonly TreeChild[] };

const LEAF = 1;
const INNER = 2;
const CONTINUATION = 8;
const UNSETTLED = 1;
const PARTIAL = 2;
const LINKED = 4;
const EXTRA = 8;
const DATA = 1;
const HOLE = 2;
const INLINE = 3;
const NANOS = 1_000_000_000n;
const HASH_BYTES = 32;
/** A slash, or a component that is empty, `.` or `..` (format F21). */
const BAD_NAME = /\/|(?:^|\0)\.{0,2}(?:\0|$)/;

export function keyOf(record: TreeRecord): TreeKey {
  return record.kind === 'entry'
    ? { path: record.entry.path, offset: 0 }
    : { path: record.path, offset: record.offset };
}

/** Negative if `a` comes first. */
export function compareKeys(a: TreeKey, b: TreeKey): number {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  return a.offset - b.offset;
}

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

export function encodeInnerPage(level: number, children: readonly TreeChild[]): Uint8Array {
  const writer = new ByteWriter(children.length * 96 + 16);
  writer.u8(INNER);
  writer.u8(level);
  writer.u32(children.length);
  let previous = '';
  for (const child of children) {
    writePath(writer, previous, child.last.path);
    previous = child.last.path;
    writer.varint(child.last.offset);
    writer.hex(child.id, HASH_BYTES);
    writer.u32(child.length);
    writer.varint(child.entries);
    writer.varint(child.bytes);
  }
  return writer.slice();
}

export const isLeafPage = (payload: Uint8Array): boolean => payload[0] === LEAF;

/** @throws LowtideError `damaged-page` */
export function decodeTreePage(payload: Uint8Array): TreePage {
  const reader = new ByteReader(payload, 'damaged-page', 'a page of the tree');
  const kind = reader.u8();
  if (kind !== LEAF && kind !== INNER) throw reader.damaged('an unknown kind of page');
  const page = kind === LEAF ? readLeaf(reader) : readInner(reader);
  reader.end();
  return page;
}

function readLeaf(reader: ByteReader): TreePage {
  const count = reader.u32();
  const records: TreeRecord[] = [];
  let previous: TreeKey | null = null;
  for (let i = 0; i < count; i++) {
    const record = readRecord(reader, (previous?.path ?? '') as PathKey);
    const key = keyOf(record);
    if (previous !== null && compareKeys(previous, key) >= 0)
      throw reader.damaged('its records are not in order');
    previous = key;
    records.push(record);
  }
  return { kind: 'leaf', records };
}

function readInner(reader: ByteReader): TreePage {
  const level = reader.u8();
  const count = reader.u32();
  const children: TreeChild[] = [];
  let previous: TreeKey | null = null;
  for (let i = 0; i < count; i++) {
    const path = readPath(reader, (previous?.path ?? '') as PathKey);
    const last = { path, offset: reader.varint() };
    if (previous !== null && compareKeys(previous, last) >= 0)
      throw reader.damaged('its children are not in order');
    previous = last;
    const id = reader.hex(HASH_BYTES) as BlockId;
    children.push({ last, id, length: reader.u32(), entries: reader.varint(), bytes: reader.varint() });
  }
  if (level === 0 || count === 0) throw reader.damaged('an inner page without children');
  return { kind: 'inner', level, children };
}

/** A path shares its first bytes with the one before it in the page. */
function writePath(writer: ByteWriter, previous: string, path: string): void {
  if (path.length > PATH_BYTES_MAX)
    throw new RangeError(`a path of ${path.length} bytes has no place in a tree`);
  let shared = 0;
  const most = Math.min(previous.length, path.length);
  while (shared < most && previous.charCodeAt(shared) === path.charCodeAt(shared)) shared++;
  writer.varint(shared);
  writer.varint(path.length - shared);
  writer.latin1(shared === 0 ? path : path.slice(shared));
}

function readPath(reader: ByteReader, previous: PathKey): PathKey {
  const shared = reader.varint();
  if (shared > previous.length) throw reader.damaged('a path that shares more than there is');
  const path = (previous.slice(0, shared) + reader.latin1(reader.varint())) as PathKey;
  if (path !== '' && BAD_NAME.test(path)) throw reader.damaged('a path with a bad name');
  if (path.length > PATH_BYTES_MAX) throw reader.damaged('a path that is too long');
  return path;
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

/** The record of a name from its bytes behind the path. @throws LowtideError `damaged-page` */
export function readRecordBody(body: Uint8Array, path: PathKey): TreeRecord {
  return readBody(new ByteReader(body, 'damaged-page', 'a page of the tree'), path);
}

function readRecord(reader: ByteReader, previous: PathKey): TreeRecord {
  return readBody(reader, readPath(reader, previous));
}

function readBody(reader: ByteReader, path: PathKey): TreeRecord {
  const kind = reader.u8();
  if (kind === CONTINUATION) {
    const offset = reader.varint();
    if (offset === 0) throw reader.damaged('a continuation at byte 0');
    return { kind: 'continuation', path, offset, extents: readExtents(reader) };
  }
  const type = ENTRY_TYPES[kind];
  if (type === undefined) throw reader.damaged('an unknown type of entry');
  return { kind: 'entry', entry: readEntry(reader, path, type) };
}

function readEntry(reader: ByteReader, path: PathKey, type: EntryType): Entry {
  const flags = reader.u8();
  if (flags > 15) throw reader.damaged('an unknown flag');
  const head = {
    path,
    type,
    unsettled: (flags & UNSETTLED) !== 0,
    partial: (flags & PARTIAL) !== 0,
    mode: readMode(reader),
    uid: reader.u32(),
    gid: reader.u32(),
    size: reader.safe64(),
    mtime: readTime(reader),
    ctime: readTime(reader),
    inode: reader.u64(),
  };
  const link = flags & LINKED ? { link: { fileSystem: reader.varint(), inode: head.inode } } : {};
  const target = type === 'symlink' ? { target: reader.latin1(reader.varint()) } : {};
  const rdev = isDevice(type) ? { rdev: readDevice(reader) } : {};
  const extra = flags & EXTRA ? { extra: reader.raw(reader.varint()) } : {};
  return {
    ...head,
    ...link,
    ...target,
    ...rdev,
    ...extra,
    extents: type === 'file' ? readExtents(reader) : [],
  };
}

function readMode(reader: ByteReader): number {
  const mode = reader.u16();
  if (mode > 0o7777) throw reader.damaged('a mode with more than permission bits');
  return mode;
}

const isDevice = (type: EntryType): boolean => type === 'character-device' || type === 'block-device';

function readDevice(reader: ByteReader): DeviceNumber {
  return { major: reader.u32(), minor: reader.u32() };
}

/** Seconds rounded down and nanoseconds from 0 to 999,999,999, so that times before 1970 keep their order. */
function writeTime(writer: ByteWriter, time: UnixNanos): void {
  const nanos = ((time % NANOS) + NANOS) % NANOS;
  writer.i64((time - nanos) / NANOS);
  writer.u32(Number(nanos));
}

function readTime(reader: ByteReader): UnixNanos {
  const seconds = reader.i64();
  const nanos = reader.u32();
  if (nanos > 999_999_999) throw reader.damaged('a time with too many nanoseconds');
  return seconds * NANOS + BigInt(nanos);
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

function readExtents(reader: ByteReader): Extent[] {
  const count = reader.varint();
  const extents: Extent[] = [];
  for (let i = 0; i < count; i++) extents.push(readExtent(reader));
  return extents;
}

function readExtent(reader: ByteReader): Extent {
  const extent = readAnyExtent(reader);
  if (extentLength(extent) === 0) throw reader.damaged('an extent of no bytes');
  return extent;
}

function readAnyExtent(reader: ByteReader): Extent {
  const kind = reader.u8();
  if (kind === HOLE) return { kind: 'hole', length: reader.safe64() };
  if (kind === INLINE) return { kind: 'inline', bytes: reader.raw(reader.varint()) };
  if (kind !== DATA) throw reader.damaged('an unknown kind of extent');
  return {
    kind: 'data',
    block: reader.hex(HASH_BYTES) as BlockId,
    offset: reader.u32(),
    length: reader.u32(),
    digest: reader.hex(HASH_BYTES) as ChunkDigest,
  };
}
