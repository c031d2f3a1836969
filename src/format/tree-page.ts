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
import {
  LEAF,
  CONTINUATION,
  UNSETTLED,
  PARTIAL,
  LINKED,
  EXTRA,
  DATA,
  HOLE,
  INLINE,
  NANOS,
  HASH_BYTES,
  isDevice,
  writePath,
} from './leaf-writer.ts';

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

const INNER = 2;
const NO_EXTENTS: readonly Extent[] = [];
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

function readPath(reader: ByteReader, previous: PathKey): PathKey {
  const shared = reader.varint();
  if (shared > previous.length) throw reader.damaged('a path that shares more than there is');
  const path = (previous.slice(0, shared) + reader.latin1(reader.varint())) as PathKey;
  if (path !== '' && BAD_NAME.test(path)) throw reader.damaged('a path with a bad name');
  if (path.length > PATH_BYTES_MAX) throw reader.damaged('a path that is too long');
  return path;
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
  const entry: { -readonly [Field in keyof Entry]: Entry[Field] } = {
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
    extents: NO_EXTENTS,
  };
  if (flags & LINKED) entry.link = { fileSystem: reader.varint(), inode: entry.inode };
  if (type === 'symlink') entry.target = reader.latin1(reader.varint());
  if (isDevice(type)) entry.rdev = readDevice(reader);
  if (flags & EXTRA) entry.extra = reader.raw(reader.varint());
  if (type === 'file') entry.extents = readExtents(reader);
  return entry;
}

function readMode(reader: ByteReader): number {
  const mode = reader.u16();
  if (mode > 0o7777) throw reader.damaged('a mode with more than permission bits');
  return mode;
}

function readDevice(reader: ByteReader): DeviceNumber {
  return { major: reader.u32(), minor: reader.u32() };
}

function readTime(reader: ByteReader): UnixNanos {
  const seconds = reader.i64();
  const nanos = reader.u32();
  if (nanos > 999_999_999) throw reader.damaged('a time with too many nanoseconds');
  return seconds * NANOS + BigInt(nanos);
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
    // Small files that follow each other are in one block.
    block: reader.hexAgain(HASH_BYTES) as BlockId,
    offset: reader.u32(),
    length: reader.u32(),
    digest: reader.hex(HASH_BYTES) as ChunkDigest,
  };
}
