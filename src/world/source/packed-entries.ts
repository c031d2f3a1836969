import { ENTRY_TYPES } from '../../model/entries.ts';
import type { ByteName } from '../../model/paths.ts';
import { bufferOf } from '../../model/bytes.ts';
import type { PackedEntries, ScannedEntry } from '../ports.ts';

/**
 * What lstat says of many names, packed, so that it passes between threads in one piece and an entry that has not
 * changed never becomes an object. Integers are big-endian. First the fields that an entry in a page of the tree begins
 * with (format F24), in its very bytes; then those that are not stored:
 *
 *     0 type u8 · 1 zero · 2 mode u16 · 4 uid u32 · 8 gid u32 · 12 size u64 · 20 mtime · 32 ctime · 44 inode u64
 *     52 links u32 · 56 device u64 · 64 allocated u64 · 72 birth · 84 rdev major u32 · 88 minor u32
 *     92 length of the name u16 · 94 of the target u16 · 96 name, target
 *
 * A time is seconds i64 and nanoseconds u32; a birth of zero is not known.
 */
export const HEAD_BYTES = 52;
export const LINKS_AT = 52;
export const DEVICE_AT = 56;
export const NAME_LENGTH_AT = 92;
export const TARGET_LENGTH_AT = 94;
export const NAME_AT = 96;
/** Of name and target, at most. */
const TEXT_BYTES_MAX = 255 + 4096;
const FILE = 1;
const DIRECTORY = 2;
const NANOS = 1_000_000_000n;
const FIRST_BYTES_AN_ENTRY = 128;

/** Gathers packed entries one after another. */
export class EntryPacker {
  #bytes: Buffer;
  #length = 0;
  readonly #starts: number[] = [];

  constructor(entries = 16) {
    this.#bytes = Buffer.allocUnsafeSlow(entries * FIRST_BYTES_AN_ENTRY);
  }

  /** Room for one entry, which `end` finishes. */
  begin(): { readonly bytes: Buffer; readonly at: number } {
    const most = this.#length + NAME_AT + TEXT_BYTES_MAX;
    if (most > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(most, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    return { bytes: this.#bytes, at: this.#length };
  }

  /** The fields are in place: adds the texts. */
  end(name: string, target: string): void {
    const at = this.#length;
    const bytes = this.#bytes;
    const nameLength = bytes.write(name, at + NAME_AT, 'latin1');
    const targetLength = bytes.write(target, at + NAME_AT + nameLength, 'latin1');
    bytes.writeUInt16BE(nameLength, at + NAME_LENGTH_AT);
    bytes.writeUInt16BE(targetLength, at + TARGET_LENGTH_AT);
    this.#starts.push(at);
    this.#length = at + NAME_AT + nameLength + targetLength;
  }

  take(problems: PackedEntries['problems']): PackedEntries {
    const bytes = new Uint8Array(this.#bytes.subarray(0, this.#length));
    return { bytes, starts: Uint32Array.from(this.#starts), problems };
  }
}

export function packEntries(
  entries: readonly ScannedEntry[],
  problems: PackedEntries['problems'],
): PackedEntries {
  const packer = new EntryPacker(entries.length);
  for (const entry of entries) packEntry(packer, entry);
  const virtual = new Map<ByteName, string>();
  for (const entry of entries) if (entry.virtual !== undefined) virtual.set(entry.name, entry.virtual);
  return { ...packer.take(problems), ...(virtual.size === 0 ? {} : { virtual }) };
}

export function packEntry(packer: EntryPacker, entry: ScannedEntry): void {
  const { bytes, at } = packer.begin();
  writeFields(bytes, at, entry);
  packer.end(entry.name, entry.target ?? '');
}

function writeFields(bytes: Buffer, at: number, entry: ScannedEntry): void {
  bytes.fill(0, at, at + NAME_AT);
  bytes[at] = ENTRY_TYPES.indexOf(entry.type);
  bytes.writeUInt16BE(entry.mode, at + 2);
  bytes.writeUInt32BE(entry.uid, at + 4);
  bytes.writeUInt32BE(entry.gid, at + 8);
  writeSafe64(bytes, entry.size, at + 12);
  writeTime(bytes, entry.mtime, at + 20);
  writeTime(bytes, entry.ctime, at + 32);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, entry.inode), at + 44);
  bytes.writeUInt32BE(entry.links, at + LINKS_AT);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, entry.device), at + DEVICE_AT);
  writeSafe64(bytes, entry.allocated, at + 64);
  writeTime(bytes, entry.birth ?? 0n, at + 72);
  bytes.writeUInt32BE(entry.rdev?.major ?? 0, at + 84);
  bytes.writeUInt32BE(entry.rdev?.minor ?? 0, at + 88);
}

function writeSafe64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}

function writeTime(bytes: Buffer, time: bigint, at: number): void {
  const nanos = ((time % NANOS) + NANOS) % NANOS;
  bytes.writeBigInt64BE((time - nanos) / NANOS, at);
  bytes.writeUInt32BE(Number(nanos), at + 8);
}

/** Reads packed entries by their number. */
export class EntryReader {
  readonly packed: PackedEntries;
  readonly bytes: Buffer;

  constructor(packed: PackedEntries) {
    this.packed = packed;
    this.bytes = bufferOf(packed.bytes);
  }

  get count(): number {
    return this.packed.starts.length;
  }

  isDirectoryAt(number: number): boolean {
    return this.bytes[this.packed.starts[number]!] === DIRECTORY;
  }

  /** Type of the kernel's own file system that it is on; null if it is on none. */
  virtualAt(number: number): string | null {
    const { virtual } = this.packed;
    return virtual === undefined ? null : (virtual.get(this.nameAt(number)) ?? null);
  }

  nameAt(number: number): ByteName {
    const at = this.packed.starts[number]!;
    const end = at + NAME_AT + this.bytes.readUInt16BE(at + NAME_LENGTH_AT);
    return this.bytes.toString('latin1', at + NAME_AT, end) as ByteName;
  }

  isFileAt(number: number): boolean {
    return this.bytes[this.packed.starts[number]!] === FILE;
  }

  sizeAt(number: number): number {
    return readSafe64(this.bytes, this.packed.starts[number]! + 12);
  }

  linksAt(number: number): number {
    return this.bytes.readUInt32BE(this.packed.starts[number]! + LINKS_AT);
  }

  ownerAt(number: number): { readonly uid: number; readonly gid: number } {
    const at = this.packed.starts[number]!;
    return { uid: this.bytes.readUInt32BE(at + 4), gid: this.bytes.readUInt32BE(at + 8) };
  }

  birthAt(number: number): bigint | undefined {
    const birth = readTime(this.bytes, this.packed.starts[number]! + 72);
    return birth === 0n ? undefined : birth;
  }

  /** mtime and ctime in milliseconds, rounded down. */
  changesAt(number: number): readonly [number, number] {
    const at = this.packed.starts[number]!;
    return [readMillis(this.bytes, at + 20), readMillis(this.bytes, at + 32)];
  }

  /** The first HEAD_BYTES of an entry, where they are. */
  headAt(number: number): Uint8Array {
    const start = this.packed.starts[number]!;
    return this.bytes.subarray(start, start + HEAD_BYTES);
  }

  copyHead(number: number, into: Uint8Array, at: number): void {
    const start = this.packed.starts[number]!;
    for (let byte = 0; byte < HEAD_BYTES; byte++) into[at + byte] = this.bytes[start + byte]!;
  }

  deviceAt(number: number): bigint {
    return this.bytes.readBigUInt64BE(this.packed.starts[number]! + DEVICE_AT);
  }

  entryAt(number: number): ScannedEntry {
    const bytes = this.bytes;
    const at = this.packed.starts[number]!;
    const nameEnd = at + NAME_AT + bytes.readUInt16BE(at + NAME_LENGTH_AT);
    const name = bytes.toString('latin1', at + NAME_AT, nameEnd) as ByteName;
    const type = ENTRY_TYPES[bytes[at]!]!;
    const birth = readTime(bytes, at + 72);
    const virtual = this.packed.virtual?.get(name);
    const targetEnd = nameEnd + bytes.readUInt16BE(at + TARGET_LENGTH_AT);
    return {
      name,
      type,
      mode: bytes.readUInt16BE(at + 2),
      uid: bytes.readUInt32BE(at + 4),
      gid: bytes.readUInt32BE(at + 8),
      size: readSafe64(bytes, at + 12),
      mtime: readTime(bytes, at + 20),
      ctime: readTime(bytes, at + 32),
      inode: bytes.readBigUInt64BE(at + 44),
      links: bytes.readUInt32BE(at + LINKS_AT),
      device: bytes.readBigUInt64BE(at + DEVICE_AT),
      allocated: readSafe64(bytes, at + 64),
      ...(birth === 0n ? {} : { birth }),
      ...(type === 'symlink' ? { target: bytes.toString('latin1', nameEnd, targetEnd) } : {}),
      ...(type === 'character-device' || type === 'block-device'
        ? { rdev: { major: bytes.readUInt32BE(at + 84), minor: bytes.readUInt32BE(at + 88) } }
        : {}),
      ...(virtual === undefined ? {} : { virtual }),
    };
  }
}

function readSafe64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
}

function readTime(bytes: Buffer, at: number): bigint {
  return bytes.readBigInt64BE(at) * NANOS + BigInt(bytes.readUInt32BE(at + 8));
}

function readMillis(bytes: Buffer, at: number): number {
  const seconds = bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
  return seconds * 1000 + Math.floor(bytes.readUInt32BE(at + 8) / 1e6);
}

/** The first HEAD_BYTES of an entry. */
export function packHead(entry: ScannedEntry, into: Buffer, at: number): void {
  const whole = Buffer.allocUnsafe(NAME_AT);
  writeFields(whole, 0, entry);
  whole.copy(into, at, 0, HEAD_BYTES);
}
