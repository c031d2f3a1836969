import { createHash } from 'node:crypto';
import { bufferOf, bytesOfHex, equalBytes, hexOf } from '../model/bytes.ts';
import { LowtideError, messageOf } from '../model/errors.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { CenterId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { decodeCbor, encodeCbor } from '../format/cbor.ts';
import { bytesOf, count, listOf, literal, record, textUpTo } from '../format/shape.ts';
import { centerIdOf } from '../format/signing.ts';
import { type Address, formatAddress, parseAddress } from './addresses.ts';

/** `peer`: another center, which may read everything and bring nothing. */
export type Role = 'agent' | 'relay' | 'peer';

/**
 * What lets one machine join one node, a center or a relay: where it is, how to know it, which centers it leads to, and a
 * secret that works once. Whoever holds the text can join in the machine's place until it is used or expires.
 */
export interface JoinToken {
  readonly addresses: readonly Address[];
  /** SHA-256 of the public key (SPKI) of the node's root certificate, 64 hex digits. */
  readonly caHash: string;
  /** The node that made it. */
  readonly center: CenterId;
  readonly kind: CenterFace['kind'];
  /**
   * The centers that it leads to; of a center that is the one itself. Their receipt keys come with the token, because
   * nothing that a relay says later counts.
   */
  readonly centers: readonly CenterFace[];
  readonly secret: Uint8Array;
  readonly expires: UnixMillis;
  /** What the machine will be called there; '' to take its host name. */
  readonly name: string;
  readonly role: Role;
}

export const TOKEN_SECRET_BYTES = 32;
const PREFIX = 'lt1_';
const CHECKSUM_BYTES = 4;
const TEXT_LENGTH_MAX = 16_384;
export const TOKEN_CENTERS_MAX = 16;

const shape = record({
  a: listOf(textUpTo(300), { min: 1, max: 16 }),
  c: bytesOf(32),
  e: count,
  n: textUpTo(200),
  kind: literal('center', 'relay'),
  r: bytesOf(16),
  role: literal('agent', 'relay', 'peer'),
  s: bytesOf(TOKEN_SECRET_BYTES),
  to: listOf(record({ k: bytesOf(32), n: textUpTo(200) }), { min: 1, max: TOKEN_CENTERS_MAX }),
});

export function formatToken(token: JoinToken): string {
  const body = encodeCbor({
    a: token.addresses.map(formatAddress),
    c: bytesOfHex(token.caHash),
    e: token.expires,
    n: token.name,
    kind: token.kind,
    r: bytesOfHex(token.center),
    role: token.role,
    s: token.secret,
    to: token.centers.map(({ name, receiptKey }) => ({ k: receiptKey, n: name })),
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
  const { a, c, e, n, kind, r, role, s, to } = decodeCbor(body, shape, 'token-bad', 'the join token');
  const center = hexOf(r) as CenterId;
  const centers = to.map((face) => centerFace(face.n, face.k));
  if (kind === 'center' && (centers.length !== 1 || centers[0]?.id !== center)) {
    throw new LowtideError('token-bad', 'the join token of a center names others: ask for a new one');
  }
  const node = { addresses: a.map(addressOf), caHash: hexOf(c), center, kind, centers };
  return { ...node, secret: s, expires: e, name: n, role };
}

/** A center by what proves it: its id is the name of its receipt key. */
export function centerFace(name: string, receiptKey: Uint8Array): CenterFace {
  return { id: centerIdOf(receiptKey), kind: 'center', name, receiptKey };
}

function addressOf(text: string): Address {
  try {
    return parseAddress(text);
  } catch (error) {
    throw new LowtideError('token-bad', `in the join token ${messageOf(error)}`);
  }
}

/** What the node keeps of a secret, and how it finds it again. */
export function secretHash(secret: Uint8Array): string {
  return createHash('sha256').update(secret).digest('hex');
}

export interface TokenDescription {
  readonly addresses: readonly string[];
  readonly center: CenterId;
  readonly kind: CenterFace['kind'];
  /** Names of the centers that it leads to. */
  readonly centers: readonly string[];
  readonly caHash: string;
  readonly name: string;
  readonly role: Role;
  readonly expires: UnixMillis;
  readonly expired: boolean;
}

/** Everything that may be shown: all but the secret. */
export function describeToken(token: JoinToken, now: UnixMillis): TokenDescription {
  const { addresses, center, kind, centers, caHash, name, role, expires } = token;
  return {
    addresses: addresses.map(formatAddress),
    center,
    kind,
    centers: centers.map((face) => face.name),
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
