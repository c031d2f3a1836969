import { createHash } from 'node:crypto';
import { type Entry, type Extent, extentLength } from '../model/entries.ts';
import { bufferOf, equalBytes, hexOf } from '../model/bytes.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { Limits } from '../model/limits.ts';
import { displayBytes, displayPath } from '../model/paths.ts';
import type { UnixNanos } from '../model/time.ts';
import {
  blockIdOf,
  type BlockHeader,
  HEADER_BYTES,
  openBlock,
  openClearBlock,
  parseBlockHeader,
} from './block.ts';
import type { KeyStore } from './domain-keys.ts';
import { dumpRecord, isRecord, type Plain, type PlainObject } from './dump-records.ts';
import { decodeRefsPage } from './refs-page.ts';
import { decodeTreePage, type TreeKey, type TreeRecord } from './tree-page.ts';

export type { Plain, PlainObject } from './dump-records.ts';

export interface DumpOptions {
  readonly limits: Limits;
  /** Without them only what is clear is described. */
  readonly keys?: KeyStore;
  /** Of the bytes of a data block or an inline extent, at most so many are shown. */
  readonly bytesShown?: number;
}

const PACK_MAGIC = Buffer.from('LTPACK01', 'latin1');
const PACK_HEADER_BYTES = 32;
const TRAILER_MAGIC = Buffer.from('LTPACKTR', 'latin1');
const BLOCK_MAGIC = Buffer.from('LTB1', 'latin1');
const HASH_BYTES = 32;
const BYTES_SHOWN = 64;

/**
 * Describes a block, a pack, or a signed record (as it is, or with its hash behind it as depots keep it), found by its
 * first bytes. Nothing is trusted: what does not hold is said in the description.
 * @throws LowtideError as the reader of that kind does; `bad-request` if it is none of these
 */
export function dumpObject(bytes: Uint8Array, options: DumpOptions): PlainObject {
  if (startsWith(bytes, BLOCK_MAGIC)) return dumpBlock(bytes, options);
  if (startsWith(bytes, PACK_MAGIC)) return dumpPack(bytes, options);
  const record = bytes.subarray(0, Math.max(0, bytes.length - HASH_BYTES));
  const framed = equalBytes(createHash('sha256').update(record).digest(), bytes.subarray(record.length));
  const whole = framed ? record : bytes;
  if (isRecord(whole)) return dumpRecord(whole, options.keys);
  throw new LowtideError('bad-request', 'this is neither a block nor a pack nor a signed record of Lowtide');
}

function dumpBlock(bytes: Uint8Array, options: DumpOptions): PlainObject {
  const header = parseBlockHeader(bytes, options.limits.block_bytes_max);
  return {
    kind: 'block',
    id: blockIdOf(bytes),
    length: bytes.length,
    ...dumpHeader(header),
    payload: orError(() => dumpPayload(bytes, header, options)),
  };
}

function dumpHeader(header: BlockHeader): PlainObject {
  const { type, codec, domain, plainLength, sealedLength, siv } = header;
  return { type, codec, domain, plainLength, sealedLength, siv: hexOf(siv) };
}

function dumpPayload(bytes: Uint8Array, { type }: BlockHeader, options: DumpOptions): Plain {
  const { keys, limits, bytesShown = BYTES_SHOWN } = options;
  if (type === 'refs') return dumpRefsPage(openClearBlock(bytes, limits.block_bytes_max));
  if (keys === undefined) return 'sealed';
  const payload = openBlock(keys, bytes, type, limits.block_bytes_max);
  return type === 'tree' ? dumpTreePage(payload, bytesShown) : shownBytes(payload, bytesShown);
}

/** A description, or the error that says why there is none. */
function orError(describe: () => Plain): Plain {
  try {
    return describe();
  } catch (error) {
    if (!isLowtideError(error)) throw error;
    return { error: error.code, message: error.message };
  }
}

export function dumpRefsPage(payload: Uint8Array): PlainObject {
  const page = decodeRefsPage(payload);
  if (page.kind === 'inner') return { ...page, children: page.children.map((child) => ({ ...child })) };
  return { kind: 'leaf', refs: page.refs.map((ref) => ({ ...ref })) };
}

export function dumpTreePage(payload: Uint8Array, bytesShown = BYTES_SHOWN): PlainObject {
  const page = decodeTreePage(payload);
  if (page.kind === 'leaf') {
    return { kind: 'leaf', records: page.records.map((record) => dumpTreeRecord(record, bytesShown)) };
  }
  const children = page.children.map((child) => ({ ...child, last: dumpKey(child.last) }));
  return { kind: 'inner', level: page.level, children };
}

const dumpKey = ({ path, offset }: TreeKey): PlainObject => ({ path: displayPath(path), offset });

function dumpTreeRecord(record: TreeRecord, bytesShown: number): PlainObject {
  if (record.kind === 'entry') return dumpEntry(record.entry, bytesShown);
  const { kind, path, offset, extents } = record;
  return { kind, path: displayPath(path), offset, extents: dumpExtents(extents, bytesShown) };
}

function dumpEntry(entry: Entry, bytesShown: number): PlainObject {
  const { type, uid, gid, size, unsettled, partial, link, target, rdev, extra } = entry;
  return {
    path: displayPath(entry.path),
    type,
    mode: entry.mode.toString(8).padStart(4, '0'),
    uid,
    gid,
    size,
    mtime: dumpTime(entry.mtime),
    ctime: dumpTime(entry.ctime),
    inode: String(entry.inode),
    ...(unsettled ? { unsettled } : {}),
    ...(partial ? { partial } : {}),
    ...(link === undefined ? {} : { link: { fileSystem: link.fileSystem, inode: String(link.inode) } }),
    ...(target === undefined ? {} : { target: displayBytes(target) }),
    ...(rdev === undefined ? {} : { device: { major: rdev.major, minor: rdev.minor } }),
    ...(extra === undefined ? {} : { extra: hexOf(extra) }),
    ...(type === 'file' ? { extents: dumpExtents(entry.extents, bytesShown) } : {}),
  };
}

function dumpExtents(extents: readonly Extent[], bytesShown: number): Plain[] {
  return extents.map((extent) =>
    extent.kind === 'inline'
      ? { kind: 'inline', length: extentLength(extent), bytes: shownBytes(extent.bytes, bytesShown) }
      : { ...extent },
  );
}

function shownBytes(bytes: Uint8Array, most: number): PlainObject {
  const shown = bytes.subarray(0, most);
  return {
    length: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    [shown.length < bytes.length ? 'start' : 'hex']: hexOf(shown),
  };
}

const NANOS = 1_000_000_000n;
/** What a Date can show. */
const SECONDS_MAX = 8_640_000_000_000n;

/** As ISO 8601 with nanoseconds, where a calendar reaches. */
function dumpTime(time: UnixNanos): string {
  const nanos = ((time % NANOS) + NANOS) % NANOS;
  const seconds = (time - nanos) / NANOS;
  if (seconds > SECONDS_MAX || seconds < -SECONDS_MAX) return `${seconds} s ${nanos} ns`;
  const date = new Date(Number(seconds) * 1000).toISOString();
  return date.replace('.000Z', `.${String(nanos).padStart(9, '0')}Z`);
}

/** Blocks as their headers say, until something else comes: no id is computed, nothing is opened. */
function dumpPack(bytes: Uint8Array, { limits }: DumpOptions): PlainObject {
  const blocks: Plain[] = [];
  let at = PACK_HEADER_BYTES;
  let end = 'whole';
  while (at < bytes.length) {
    const rest = bytes.subarray(at);
    if (startsWith(rest, TRAILER_MAGIC)) {
      end = 'trailer';
      break;
    }
    try {
      const header = parseBlockHeader(rest, limits.block_bytes_max);
      blocks.push({ offset: at, ...dumpHeader(header) });
      at += HEADER_BYTES + header.sealedLength;
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      end = `damaged at byte ${at}`;
      break;
    }
  }
  if (at > bytes.length) end = 'cut within the last block';
  const salt = bufferOf(bytes).toString('hex', PACK_MAGIC.length, PACK_HEADER_BYTES);
  return { kind: 'pack', length: bytes.length, salt, blocks, end };
}

function startsWith(bytes: Uint8Array, magic: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, magic.length), magic);
}
