import { bufferOf } from '../model/bytes.ts';
import type { UnixMillis } from '../model/time.ts';

/**
 * Writes ASN.1 in DER (X.690), as much of it as a certificate needs. Nothing here reads: certificates that come from
 * elsewhere are read by OpenSSL.
 */
const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const;

const CONTEXT = 0x80;
const CONSTRUCTED = 0x20;

const tagged = (tag: number, ...content: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.from([tag]), lengthOctets(body.length), body]);
};

function lengthOctets(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const hex = length.toString(16);
  const octets = Buffer.from(hex.length % 2 === 0 ? hex : '0' + hex, 'hex');
  return Buffer.concat([Buffer.from([0x80 | octets.length]), octets]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => tagged(TAG.sequence, ...parts);
export const setOf = (part: Uint8Array): Buffer => tagged(TAG.set, part);
export const octetString = (bytes: Uint8Array): Buffer => tagged(TAG.octetString, bytes);
export const utf8String = (text: string): Buffer => tagged(TAG.utf8, Buffer.from(text, 'utf8'));
export const truth = (): Buffer => tagged(TAG.boolean, Buffer.from([0xff]));

/** A non-negative integer from big-endian bytes of any length. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const shortest = bytes.subarray(start);
  const sign = (shortest[0] ?? 0) >= 0x80 || shortest.length === 0 ? [0] : [];
  return tagged(TAG.integer, Buffer.from(sign), shortest);
}

export function bitString(bytes: Uint8Array): Buffer {
  return tagged(TAG.bitString, Buffer.from([0]), bytes);
}

/** Named bits of at most one octet, bit 0 first; trailing zero bits go, as DER wants it. */
export function namedBits(...bits: readonly number[]): Buffer {
  const octet = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return tagged(TAG.bitString, Buffer.from([7 - Math.max(...bits), octet]));
}

/** @param dotted such as `1.3.101.112` */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tagged(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(arc: number): number[] {
  const digits = [arc % 128];
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
    digits.unshift(0x80 | (left % 128));
  }
  return digits;
}

/** UTCTime until the end of 2049, GeneralizedTime after it (RFC 5280, 4.1.2.5). Whole seconds, rounded down. */
export function time(at: UnixMillis): Buffer {
  const [date = '', clock = ''] = new Date(at).toISOString().split('T');
  const text = date.replaceAll('-', '') + clock.slice(0, 8).replaceAll(':', '') + 'Z';
  return date < '2050'
    ? tagged(TAG.utcTime, Buffer.from(text.slice(2), 'latin1'))
    : tagged(TAG.generalizedTime, Buffer.from(text, 'latin1'));
}

/** [n] EXPLICIT, or [n] IMPLICIT of something constructed. */
export function context(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return tagged(CONTEXT | CONSTRUCTED | number, ...parts);
}

/** [n] IMPLICIT of a primitive. */
export function contextBytes(number: number, bytes: Uint8Array | string): Buffer {
  return tagged(CONTEXT | number, typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
}

export function pemOf(label: string, der: Uint8Array): string {
  const lines =
    bufferOf(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
