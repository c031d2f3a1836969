import { decode } from 'cborg';
import { bufferOf } from '../model/bytes.ts';
import type { Attributes, ExtendedAttribute } from '../model/entries.ts';
import { LowtideError, messageOf } from '../model/errors.ts';
import type { UnixNanos } from '../model/time.ts';
import { ByteWriter } from './byte-writer.ts';

/** Keys of an entry's `extra` (format F27), in the order in which they are written. */
const XATTRS = 1;
const ACLS = 2;
const FLAGS = 3;
const BIRTH = 4;
const PLATFORM = 5;
const OWNER = 11;
const GROUP = 12;
const KNOWN: readonly unknown[] = [XATTRS, ACLS, FLAGS, BIRTH, PLATFORM, OWNER, GROUP];
const LINUX = 1;
/** Kinds of access control lists that Linux shows as extended attributes. */
const ACL_KINDS: readonly (readonly [kind: number, name: string])[] = [
  [1, 'system.posix_acl_access'],
  [2, 'system.posix_acl_default'],
  [3, 'system.nfs4_acl'],
];
const NANOS = 1_000_000_000n;
/** Major types of CBOR, in the first three bits. */
const UNSIGNED = 0x00;
const NEGATIVE = 0x20;
const BYTES = 0x40;
const TEXT = 0x60;
const ARRAY = 0x80;
const MAP = 0xa0;

/**
 * As a CBOR map in deterministic encoding (format F4). Every entry of a backup has one, so it is written by hand: a
 * general encoder takes ten times as long.
 */
export function encodeAttributes(attributes: Attributes): Uint8Array {
  const { xattrs, flags, birth, owner, group } = attributes;
  const kindOf = xattrs.length === 0 ? null : new Map(ACL_KINDS.map(([kind, name]) => [name, kind]));
  const sorted = xattrs.length === 0 ? xattrs : xattrs.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const plain = sorted.filter(({ name }) => !kindOf!.has(name));
  const acls = sorted.filter(({ name }) => kindOf!.has(name));
  const writer = new ByteWriter(64);
  const count =
    Number(plain.length > 0) +
    Number(acls.length > 0) +
    Number(flags !== 0) +
    Number(birth !== undefined) +
    Number(owner !== undefined) +
    Number(group !== undefined);
  // And the platform.
  head(writer, MAP, count + 1);
  if (plain.length > 0) {
    head(writer, UNSIGNED, XATTRS);
    writePairs(writer, plain, (name) => [BYTES, name]);
  }
  if (acls.length > 0) {
    head(writer, UNSIGNED, ACLS);
    writePairs(writer, acls, (name) => kindOf!.get(name)!);
  }
  if (flags !== 0) writeNumber(writer, FLAGS, flags);
  if (birth !== undefined) {
    head(writer, UNSIGNED, BIRTH);
    writeTime(writer, birth);
  }
  writeNumber(writer, PLATFORM, LINUX);
  if (owner !== undefined) {
    head(writer, UNSIGNED, OWNER);
    writeText(writer, owner);
  }
  if (group !== undefined) {
    head(writer, UNSIGNED, GROUP);
    writeText(writer, group);
  }
  return writer.slice();
}

function writeNumber(writer: ByteWriter, key: number, value: number): void {
  head(writer, UNSIGNED, key);
  head(writer, UNSIGNED, value);
}

/** With whether there was more, which is passed over. */
export interface DecodedAttributes extends Attributes {
  readonly passedOver: boolean;
}

/**
 * What this program knows of an entry's attributes; the rest is passed over (format F27). Flags and the names of extended
 * attributes mean something only where the entry comes from: of another platform they are left out.
 * @throws LowtideError `damaged-page`
 */
export function decodeAttributes(extra: Uint8Array): DecodedAttributes {
  let map: Map<unknown, unknown>;
  try {
    const decoded: unknown = decode(extra, { useMaps: true, strict: true, allowIndefinite: false });
    if (!(decoded instanceof Map)) throw new TypeError('it is no map');
    map = decoded;
  } catch (error) {
    throw new LowtideError('damaged-page', `attributes of an entry cannot be read: ${messageOf(error)}`);
  }
  const [platform, flags, birth] = [map.get(PLATFORM), map.get(FLAGS), timeIn(map.get(BIRTH))];
  const isOurs = platform === undefined || platform === LINUX;
  const [owner, group] = [map.get(OWNER), map.get(GROUP)];
  const passedOver = !isOurs || [...map.keys()].some((key) => !KNOWN.includes(key));
  return {
    passedOver,
    xattrs: isOurs ? xattrsIn(map) : [],
    flags: isOurs && typeof flags === 'number' ? flags : 0,
    ...(birth === null ? {} : { birth }),
    ...(typeof owner === 'string' ? { owner } : {}),
    ...(typeof group === 'string' ? { group } : {}),
  };
}

/** A map that begins with a birth: its key, an array of two, then seconds and nanoseconds of 32 bits each. */
const BIRTH_AT = 1;
const REST_AT = 13;
const UINT32 = UNSIGNED | 26;

/**
 * The same for attributes that differ in nothing but the birth, as those of most files do; null where that cannot be
 * seen at a glance. Then they have to be decoded.
 */
export function keyButBirth(extra: Uint8Array): string | null {
  if (!beginsWithBirth(extra)) return null;
  return String.fromCharCode(extra[0]!) + bufferOf(extra).toString('latin1', REST_AT);
}

/** Whether two have the same `keyButBirth`, which is not null: without making it. */
export function differInBirthOnly(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length || one[0] !== other[0]) return false;
  if (!beginsWithBirth(one) || !beginsWithBirth(other)) return false;
  for (let at = REST_AT; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}

function beginsWithBirth(extra: Uint8Array): boolean {
  return (
    extra.length > REST_AT &&
    extra[BIRTH_AT] === BIRTH &&
    extra[2] === (ARRAY | 2) &&
    extra[3] === UINT32 &&
    extra[8] === UINT32 &&
    // A number of 16 bits must not take 32: such a map is damaged.
    (extra[4]! | extra[5]!) !== 0 &&
    (extra[9]! | extra[10]!) !== 0
  );
}

function xattrsIn(map: ReadonlyMap<unknown, unknown>): ExtendedAttribute[] {
  const found: ExtendedAttribute[] = [];
  for (const [name, value] of pairsIn(map.get(XATTRS))) {
    if (name instanceof Uint8Array && name.length > 0 && !name.includes(0))
      found.push({ name: Buffer.from(name).toString('latin1'), value });
  }
  for (const [kind, value] of pairsIn(map.get(ACLS))) {
    const name = ACL_KINDS.find(([known]) => known === kind)?.[1];
    if (name !== undefined) found.push({ name, value });
  }
  return found;
}

function pairsIn(value: unknown): [unknown, Uint8Array][] {
  if (!Array.isArray(value)) return [];
  const pairs = value as readonly unknown[];
  return pairs.filter(
    (pair): pair is [unknown, Uint8Array] =>
      Array.isArray(pair) && pair.length === 2 && pair[1] instanceof Uint8Array,
  );
}

function timeIn(value: unknown): UnixNanos | null {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [seconds, nanos] = value as readonly unknown[];
  if (typeof seconds !== 'number' || typeof nanos !== 'number') return null;
  if (!Number.isSafeInteger(seconds) || !Number.isSafeInteger(nanos)) return null;
  return BigInt(seconds) * NANOS + BigInt(nanos);
}

function writePairs(
  writer: ByteWriter,
  xattrs: readonly ExtendedAttribute[],
  keyOf: (name: string) => number | readonly [typeof BYTES, string],
): void {
  head(writer, ARRAY, xattrs.length);
  for (const { name, value } of xattrs) {
    head(writer, ARRAY, 2);
    const key = keyOf(name);
    if (typeof key === 'number') head(writer, UNSIGNED, key);
    else {
      head(writer, BYTES, name.length);
      writer.latin1(name);
    }
    head(writer, BYTES, value.length);
    writer.raw(value);
  }
}

/** Seconds rounded down, then nanoseconds from 0 to 999,999,999. */
function writeTime(writer: ByteWriter, time: UnixNanos): void {
  const nanos = ((time % NANOS) + NANOS) % NANOS;
  const seconds = Number((time - nanos) / NANOS);
  head(writer, ARRAY, 2);
  if (seconds < 0) head(writer, NEGATIVE, -1 - seconds);
  else head(writer, UNSIGNED, seconds);
  head(writer, UNSIGNED, Number(nanos));
}

function writeText(writer: ByteWriter, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  head(writer, TEXT, bytes.length);
  writer.raw(bytes);
}

/** The first bytes of an item: its type and a number in the shortest form. */
function head(writer: ByteWriter, type: number, value: number): void {
  if (value < 24) writer.u8(type | value);
  else if (value < 0x100) {
    writer.u8(type | 24);
    writer.u8(value);
  } else if (value < 0x1_0000) {
    writer.u8(type | 25);
    writer.u16(value);
  } else if (value < 0x1_0000_0000) {
    writer.u8(type | 26);
    writer.u32(value);
  } else {
    writer.u8(type | 27);
    writer.safe64(value);
  }
}
