import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { bufferOf, hexOf } from '../model/bytes.ts';
import { type ErrorCode, LowtideError } from '../model/errors.ts';
import type { CenterId, ClientId, InstanceId } from '../model/ids.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { bytesOf, bytesUpTo, listOf, type Shape, text } from './shape.ts';

/** PKCS #8 and SPKI prefixes of an Ed25519 key (RFC 8410): the key itself is the 32 bytes that follow. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');

/** An Ed25519 key pair (RFC 8032) made from 32 secret bytes. */
export interface SigningKey {
  readonly seed: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { seed, publicKey: new Uint8Array(spki.subarray(SPKI_ED25519.length)), privateKey };
}

export function verifyingKey(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_ED25519, publicKey]), format: 'der', type: 'spki' });
}

/** First 16 bytes of SHA-256 of the public key (format F42). */
function keyName(publicKey: Uint8Array): string {
  return createHash('sha256').update(publicKey).digest('hex').slice(0, 32);
}

export function instanceIdOf(publicKey: Uint8Array): InstanceId {
  return keyName(publicKey) as InstanceId;
}

/** @param publicKey of the client's first instance */
export function clientIdOf(publicKey: Uint8Array): ClientId {
  return keyName(publicKey) as ClientId;
}

/** @param publicKey the center's receipt key */
export function centerIdOf(publicKey: Uint8Array): CenterId {
  return keyName(publicKey) as CenterId;
}

/** Names what a signed record is, so that no record can pass as another (format F41). */
export type SignedKind = 'manifest' | 'void' | 'keyring' | 'receipt' | 'policy' | 'membership' | 'leaving';

const tagOf = (kind: SignedKind): string => `lowtide/${kind}/1`;

function signedText(kind: SignedKind, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(tagOf(kind) + '\0', 'utf8'), body]);
}

/** CBOR [tag, body, signature] with an Ed25519 signature over tag, NUL and body (format F41). */
export function signRecord(kind: SignedKind, body: Uint8Array, key: SigningKey): Uint8Array {
  return encodeCbor([tagOf(kind), body, new Uint8Array(sign(null, signedText(kind, body), key.privateKey))]);
}

export interface SignedRecord {
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
  /** SHA-256 of the body, 64 hex digits. */
  readonly hash: string;
}

const [bodyShape, signatureShape] = [bytesUpTo(1 << 20), bytesOf(64)];
const partsShape = listOf((part) => part, { min: 3, max: 3 });
const recordShape: Shape<[string, Uint8Array, Uint8Array]> = (value) => {
  const [tag, body, signature] = partsShape(value);
  return [text(tag), bodyShape(body), signatureShape(signature)];
};

/** Opens the envelope without trusting it: call `checkSignature` before using what the body says. */
export function parseRecord(kind: SignedKind, bytes: Uint8Array, code: ErrorCode): SignedRecord {
  const [tag, body, signature] = decodeCbor(bytes, recordShape, code, `the ${kind}`);
  if (tag !== tagOf(kind)) {
    const newer = tag.startsWith(`lowtide/${kind}/`);
    if (newer)
      throw new LowtideError('newer-format', `the ${kind} has format ${tag}: update Lowtide to read it`);
    throw new LowtideError(code, `this is not a ${kind} record`);
  }
  return { body, signature, hash: hexOf(createHash('sha256').update(body).digest()) };
}

export function checkSignature(kind: SignedKind, record: SignedRecord, publicKey: Uint8Array): void {
  if (!verify(null, signedText(kind, record.body), verifyingKey(publicKey), bufferOf(record.signature))) {
    throw new LowtideError('wrong-signature', `the ${kind} is not signed by the key it must be signed by`);
  }
}
