import { createHash } from 'node:crypto';
import { z } from 'zod';
import { bufferOf, bytesOfHex, equalBytes, hexOf } from '../model/bytes.ts';
import { LowtideError, messageOf } from '../model/errors.ts';
import type { CenterId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { bytesOf, count, decodeCbor, encodeCbor } from '../format/cbor.ts';
import { type Address, formatAddress, parseAddress } from './addresses.ts';

export type Role = 'agent' | 'relay';

/**
 * What lets one machine join one center: where it is, how to know it, and a secret that works once. Whoever holds the
 * text can join in the machine's place until it is used or expires.
 */
export interface JoinToken {
  readonly addresses: readonly Address[];
  /** SHA-256 of the public key (SPKI) of the center's root certificate, 64 hex digits. */
  readonly caHash: string;
  readonly center: CenterId;
  readonly secret: Uint8Array;
  readonly expires: UnixMillis;
  /** What the machine will be called at the center; '' to take its host name. */
  readonly name: string;
  readonly role: Role;
}

export const TOKEN_SECRET_BYTES = 32;
const PREFIX = 'lt1_';
const CHECKSUM_BYTES = 4;
const TEXT_LENGTH_MAX = 4096;

const shape = z.strictObject({
  a: z.array(z.string().max(300)).min(1).max(16),
  c: bytesOf(32),
  e: count,
  n: z.string().max(200),
  r: bytesOf(16),
  role: z.enum(['agent', 'relay']),
  s: bytesOf(TOKEN_SECRET_BYTES),
});

export function formatToken(token: JoinToken): string {
  const body = encodeCbor({
    a: token.addresses.map(formatAddress),
    c: bytesOfHex(token.caHash),
    e: token.expires,
    n: token.name,
    r: bytesOfHex(token.center),
    role: token.role,
    s: token.secret,
  });
  return PREFIX + Buffer.concat([body, checksum(body)]).toString('base64url');
}

/**
 * Reads a token without using it. White space in it does not matter: terminals and mail break lines.
 * @throws LowtideError `token-bad`, which tells a mistyped token from something that is none
 */
export function parseToken(text: string): JoinToken {
  const typed = text.replaceAll(/\s+/g, '');
  if (!typed.startsWith(PREFIX) || typed.length > TEXT_LENGTH_MAX) {
    throw new LowtideError('token-bad', `this is not a join token: one starts with ${PREFIX}`);
  }
  const coded = typed.slice(PREFIX.length);
  const bytes = Buffer.from(coded, 'base64url');
  const body = bytes.subarray(0, -CHECKSUM_BYTES);
  const intact =
    bytes.toString('base64url') === coded && equalBytes(bytes.subarray(body.length), checksum(body));
  if (!intact || body.length === 0) {
    throw new LowtideError('token-bad', 'the join token is mistyped or cut off: copy it again, whole');
  }
  const { a, c, e, n, r, role, s } = decodeCbor(body, shape, 'token-bad', 'the join token');
  const addresses = a.map(addressOf);
  return { addresses, caHash: hexOf(c), center: hexOf(r) as CenterId, secret: s, expires: e, name: n, role };
}

function addressOf(text: string): Address {
  try {
    return parseAddress(text);
  } catch (error) {
    throw new LowtideError('token-bad', `in the join token ${messageOf(error)}`);
  }
}

/** What the center keeps of a secret, and how it finds it again. */
export function secretHash(secret: Uint8Array): string {
  return createHash('sha256').update(secret).digest('hex');
}

export interface TokenDescription {
  readonly addresses: readonly string[];
  readonly center: CenterId;
  readonly caHash: string;
  readonly name: string;
  readonly role: Role;
  readonly expires: UnixMillis;
  readonly expired: boolean;
}

/** Everything that may be shown: all but the secret. */
export function describeToken(token: JoinToken, now: UnixMillis): TokenDescription {
  const { addresses, center, caHash, name, role, expires } = token;
  return {
    addresses: addresses.map(formatAddress),
    center,
    caHash,
    name,
    role,
    expires,
    expired: now >= expires,
  };
}

function checksum(body: Uint8Array): Buffer {
  return createHash('sha256')
    .update('lowtide/token/1\0')
    .update(bufferOf(body))
    .digest()
    .subarray(0, CHECKSUM_BYTES);
}
