import { createHash } from 'node:crypto';
import { ByteReader } from '../format/byte-reader.ts';
import { ByteWriter } from '../format/byte-writer.ts';
import type { BlockType } from '../format/block.ts';
import { bufferOf, equalBytes } from '../model/bytes.ts';
import type { BlockId, DomainKeyId } from '../model/ids.ts';

/**
 * A pack: a header, blocks back to back, and once it is complete a trailer. The trailer saves reading the pack through
 * when the index is lost; nothing else needs it.
 *
 *     header   "LTPACK01" | salt (24)
 *     trailer  "LTPACKTR" | entries | SHA-256 of header, "LTPACKTR" and entries | length before the hash (u32) | "LTPACKIX"
 *     entry    id (32) | offset (u64) | length (u32) | domain (16) | type (u8)
 *
 * The salt is random and never leaves the depot, so nobody can send a block which, left at the end of a torn pack,
 * would be taken for its trailer and put false ids into the index.
 */
export const PACK_HEADER_BYTES = 32;
export const PACK_SALT_BYTES = 24;
/** Behind the entries: hash, length, magic. */
export const TRAILER_TAIL_BYTES = 44;
export const TRAILER_MAGIC = Buffer.from('LTPACKTR', 'latin1');
const HEADER_MAGIC = Buffer.from('LTPACK01', 'latin1');
const END_MAGIC = Buffer.from('LTPACKIX', 'latin1');
const HASH_BYTES = 32;
const ENTRY_BYTES = 61;

/** Where a block is in a pack. */
export interface PackEntry {
  readonly id: BlockId;
  readonly offset: number;
  readonly length: number;
  readonly domain: DomainKeyId;
  readonly type: BlockType;
}

const TYPES: readonly BlockType[] = ['data', 'tree', 'keyring', 'refs'];

/** As in a block's header (format F5). */
export function typeCode(type: BlockType): number {
  return TYPES.indexOf(type) + 1;
}

export function encodePackHeader(salt: Uint8Array): Uint8Array {
  return Buffer.concat([HEADER_MAGIC, salt]);
}

export function isPackHeader(bytes: Uint8Array): boolean {
  return bytes.length >= PACK_HEADER_BYTES && equalBytes(bytes.subarray(0, 8), HEADER_MAGIC);
}

export function encodeTrailer(header: Uint8Array, entries: readonly PackEntry[]): Uint8Array {
  const writer = new ByteWriter(TRAILER_MAGIC.length + entries.length * ENTRY_BYTES + TRAILER_TAIL_BYTES);
  writer.raw(TRAILER_MAGIC);
  for (const entry of entries) {
    writer.hex(entry.id);
    writer.safe64(entry.offset);
    writer.u32(entry.length);
    writer.hex(entry.domain);
    writer.u8(typeCode(entry.type));
  }
  const table = writer.slice();
  const tail = new ByteWriter(TRAILER_TAIL_BYTES);
  tail.raw(hashOf(header, table));
  tail.u32(table.length);
  tail.raw(END_MAGIC);
  return Buffer.concat([table, tail.slice()]);
}

/** How long the whole trailer is that ends with these bytes, or null if no trailer ends so. */
export function trailerLength(tail: Uint8Array): number | null {
  if (tail.length !== TRAILER_TAIL_BYTES || !equalBytes(tail.subarray(-END_MAGIC.length), END_MAGIC)) {
    return null;
  }
  return bufferOf(tail).readUInt32BE(HASH_BYTES) + TRAILER_TAIL_BYTES;
}

/**
 * The entries of a trailer that fits its pack's header and covers the pack without a gap, else null.
 * @param start where the trailer starts in the pack
 */
export function parseTrailer(header: Uint8Array, trailer: Uint8Array, start: number): PackEntry[] | null {
  const table = trailer.subarray(0, -TRAILER_TAIL_BYTES);
  const hash = trailer.subarray(table.length, table.length + HASH_BYTES);
  if (!equalBytes(hash, hashOf(header, table))) return null;
  const reader = new ByteReader(table.subarray(TRAILER_MAGIC.length), 'damaged-pack', "a pack's table");
  const entries: PackEntry[] = [];
  let at = PACK_HEADER_BYTES;
  for (let rest = table.length - TRAILER_MAGIC.length; rest > 0; rest -= ENTRY_BYTES) {
    if (rest < ENTRY_BYTES) return null;
    const id = reader.hex(32) as BlockId;
    const offset = reader.safe64();
    const length = reader.u32();
    const domain = reader.hex(16) as DomainKeyId;
    const type = TYPES[reader.u8() - 1];
    if (type === undefined || offset !== at) return null;
    entries.push({ id, offset, length, domain, type });
    at += length;
  }
  return at === start ? entries : null;
}

function hashOf(header: Uint8Array, table: Uint8Array): Buffer {
  return createHash('sha256').update(header).update(table).digest();
}

const PACK_NAME = /^([a-z0-9][a-z0-9-]{0,79})\.([0-9]{8,15})\.pack$/;
const GROUP = /^[a-z0-9][a-z0-9-]{0,79}$/;

export function packName(group: string, number: number): string {
  return `${group}.${String(number).padStart(8, '0')}.pack`;
}

export function parsePackName(name: string): { readonly group: string; readonly number: number } | null {
  const match = PACK_NAME.exec(name);
  return match === null ? null : { group: match[1]!, number: Number(match[2]) };
}

/** @throws TypeError */
export function checkGroup(group: string): void {
  if (!GROUP.test(group)) throw new TypeError(`${JSON.stringify(group)} cannot name a group of packs`);
}
