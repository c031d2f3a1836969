import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { bytesOfHex, hexOf } from '../model/bytes.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { Limits } from '../model/limits.ts';
import type { UnixMillis } from '../model/time.ts';
import { type PassphraseCost, type PassphraseInput, passphraseKey } from './passphrase-key.ts';
import { bytesOf, count, literal, oneOf, record, textUpTo, where } from './shape.ts';
import { deriveKey, openBox, sealBox } from './siv-box.ts';

/** Fresh random bytes: `World.random.bytes` in production. */
export type Entropy = (length: number) => Uint8Array;

/** What making a keyring or a slot takes from the world. */
export interface Making {
  readonly entropy: Entropy;
  readonly limits: Limits;
  readonly now: UnixMillis;
}

interface SlotHead {
  /** 8 random bytes, 16 hex digits. */
  readonly id: string;
  /** For people: `this machine`, `paper in the safe`. */
  readonly label: string;
  readonly createdAt: UnixMillis;
  /** The ring key under the slot's own key (format F75). */
  readonly box: Uint8Array;
}

export type Slot = SecretSlot | PassphraseSlot | OrganisationSlot;

/** Opened by 32 random secret bytes: a file of mode 0600, or typed from a recovery sheet (format F76). */
export interface SecretSlot extends SlotHead {
  readonly kind: 'device' | 'recovery';
  readonly salt: Uint8Array;
}

/** argon2id of RFC 9106, version 0x13 (format F77). */
export interface PassphraseSlot extends SlotHead, PassphraseCost {
  readonly kind: 'passphrase';
}

/** Wrapped for the organisation's X25519 public key; the private half is kept offline (format F78). */
export interface OrganisationSlot extends SlotHead {
  readonly kind: 'organisation';
  readonly recipient: Uint8Array;
  readonly ephemeral: Uint8Array;
}

export type SlotSpec =
  | { readonly kind: 'device' | 'recovery'; readonly label: string; readonly secret: Uint8Array }
  | { readonly kind: 'passphrase'; readonly label: string; readonly passphrase: string }
  | { readonly kind: 'organisation'; readonly label: string; readonly publicKey: Uint8Array };

export type Secret =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: 'device' | 'recovery'; readonly secret: Uint8Array }
  | { readonly kind: 'organisation'; readonly privateKey: Uint8Array };

export const SECRET_BYTES = 32;
const BOX_BYTES = 32 + SECRET_BYTES + 16;
const CONTEXT = 'lowtide/slot/1';
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI_X25519 = Buffer.from('302a300506032b656e032100', 'hex');

const head = { id: bytesOf(8), label: textUpTo(200), createdAt: count, box: bytesOf(BOX_BYTES) };
const salt = where(bytesOf(SECRET_BYTES), (bytes) => bytes.some((byte) => byte !== 0), 'must not be zero');

export const slotShape = oneOf('kind', {
  device: record({ ...head, kind: literal('device'), salt }),
  recovery: record({ ...head, kind: literal('recovery'), salt }),
  passphrase: record({
    ...head,
    kind: literal('passphrase'),
    salt,
    memoryKiB: count,
    passes: count,
    lanes: count,
  }),
  organisation: record({
    ...head,
    kind: literal('organisation'),
    recipient: bytesOf(32),
    ephemeral: bytesOf(32),
  }),
});

export function slotOf(body: ReturnType<typeof slotShape>): Slot {
  return { ...body, id: hexOf(body.id) };
}

export function slotBody(slot: Slot): object {
  return { ...slot, id: bytesOfHex(slot.id) };
}

/** @throws LowtideError `no-password` for an empty passphrase, `wrong-key` for a public key that is none */
export function makeSlot(ringKey: Uint8Array, spec: SlotSpec, { entropy, limits, now }: Making): Slot {
  const id = hexOf(entropy(8));
  const { kind, label } = spec;
  const named = { id, label, createdAt: now };
  if (kind === 'organisation') {
    const secret = entropy(SECRET_BYTES);
    const ephemeral = x25519PublicKey(secret);
    const slotKey = organisationKey(secret, spec.publicKey, ephemeral, spec.publicKey);
    const recipient = new Uint8Array(spec.publicKey);
    return { ...named, kind, recipient, ephemeral, box: sealBox(slotKey, CONTEXT, ringKey) };
  }
  const salt = new Uint8Array(entropy(SECRET_BYTES));
  if (kind !== 'passphrase') {
    if (spec.secret.length !== SECRET_BYTES)
      throw new TypeError(`the secret of a slot has ${SECRET_BYTES} bytes`);
    return { ...named, kind, salt, box: sealBox(secretKey(kind, spec.secret, salt), CONTEXT, ringKey) };
  }
  if (spec.passphrase === '') throw new LowtideError('no-password', 'an empty password protects nothing');
  const cost = {
    memoryKiB: limits.argon2_memory_KiB,
    passes: limits.argon2_passes,
    lanes: limits.argon2_lanes,
  };
  const slotKey = passphraseKey({ passphrase: spec.passphrase, salt, ...cost });
  return { ...named, kind, salt, ...cost, box: sealBox(slotKey, CONTEXT, ringKey) };
}

/**
 * The ring key, from the first slot that the secret opens.
 * @throws LowtideError `wrong-password`, `wrong-key`, `damaged-keyring`
 */
export function openSlot(slots: readonly Slot[], secret: Secret, limits: Limits): Uint8Array {
  if (secret.kind === 'passphrase') checkCost(slots, limits);
  for (const slot of slots) {
    const slotKey = keyOfSlot(slot, secret);
    const ringKey = slotKey && openedBy(slotKey, slot, secret);
    if (ringKey !== null) return ringKey;
  }
  throw refused(slots, secret);
}

/** Where a passphrase's keys are derived: somewhere that leaves the caller's thread alone. */
export type Derive = (input: PassphraseInput) => Promise<Uint8Array>;

/** The same, of a passphrase. */
export async function openPassphraseSlot(
  slots: readonly Slot[],
  secret: Extract<Secret, { kind: 'passphrase' }>,
  limits: Limits,
  derive: Derive,
): Promise<Uint8Array> {
  checkCost(slots, limits);
  for (const slot of slots) {
    if (slot.kind !== 'passphrase') continue;
    const ringKey = openedBy(await derive(inputOf(slot, secret.passphrase)), slot, secret);
    if (ringKey !== null) return ringKey;
  }
  throw refused(slots, secret);
}

const refusalCode = ({ kind }: Secret): 'wrong-password' | 'wrong-key' =>
  kind === 'passphrase' ? 'wrong-password' : 'wrong-key';

const refusalText = ({ kind }: Secret): string =>
  kind === 'passphrase' ? 'the password is wrong' : `this ${kind} key does not open the keyring`;

/** Null if it is another slot's key. */
function openedBy(slotKey: Uint8Array, slot: Slot, secret: Secret): Uint8Array | null {
  const code = refusalCode(secret);
  try {
    return new Uint8Array(openBox(slotKey, CONTEXT, slot.box, code, refusalText(secret)));
  } catch (error) {
    if (isLowtideError(error, code)) return null;
    throw error;
  }
}

function refused(slots: readonly Slot[], secret: Secret): LowtideError {
  const { kind } = secret;
  const none = !slots.some((slot) => slot.kind === kind);
  const text = none ? `no ${kind} opens this keyring: it has no such slot` : refusalText(secret);
  return new LowtideError(refusalCode(secret), text);
}

/** Null if the slot is not for this secret. */
function keyOfSlot(slot: Slot, secret: Secret): Uint8Array | null {
  if (slot.kind === 'passphrase') {
    return secret.kind === 'passphrase' ? passphraseKey(inputOf(slot, secret.passphrase)) : null;
  }
  if (slot.kind === 'organisation') {
    if (secret.kind !== 'organisation') return null;
    return organisationKey(secret.privateKey, slot.ephemeral, slot.ephemeral, slot.recipient);
  }
  return secret.kind === slot.kind ? secretKey(slot.kind, secret.secret, slot.salt) : null;
}

const secretKey = (kind: 'device' | 'recovery', secret: Uint8Array, salt: Uint8Array): Buffer =>
  deriveKey(secret, salt, `lowtide/1/slot/${kind}`);

/** Nothing of the slot but what the key is derived from. */
function inputOf({ salt, memoryKiB, passes, lanes }: PassphraseSlot, passphrase: string): PassphraseInput {
  return { passphrase, salt, memoryKiB, passes, lanes };
}

/**
 * A store or a relay may have written the parameters: refuses what no writer writes before any of it is computed. All
 * passphrase slots together may cost what the dearest single slot may (format F77).
 */
function checkCost(slots: readonly Slot[], limits: Limits): void {
  let work = 0;
  for (const slot of slots) {
    if (slot.kind !== 'passphrase') continue;
    const { memoryKiB, passes, lanes } = slot;
    work += memoryKiB * passes;
    const bad =
      lanes < 1 ||
      passes < 1 ||
      memoryKiB < 8 * lanes ||
      memoryKiB > limits.argon2_memory_KiB_max ||
      passes > limits.argon2_passes_max ||
      lanes > limits.argon2_lanes_max ||
      work > limits.argon2_memory_KiB_max * limits.argon2_passes_max;
    if (bad) {
      throw new LowtideError(
        'damaged-keyring',
        'the keyring asks for a password derivation that is out of bounds: it was not written by Lowtide',
      );
    }
  }
}

/** HKDF over the shared secret, salted with both public keys: no other pair gives the same key. */
function organisationKey(
  privateKey: Uint8Array,
  publicKey: Uint8Array,
  ephemeral: Uint8Array,
  recipient: Uint8Array,
): Buffer {
  const shared = sharedSecret(x25519PrivateKey(privateKey), publicKey);
  return deriveKey(shared, Buffer.concat([ephemeral, recipient]), 'lowtide/1/slot/organisation');
}

/** Fails for the few public keys that give the same secret to everybody. */
function sharedSecret(privateKey: KeyObject, publicKey: Uint8Array): Buffer {
  try {
    const key = createPublicKey({
      key: Buffer.concat([SPKI_X25519, publicKey]),
      format: 'der',
      type: 'spki',
    });
    return diffieHellman({ privateKey, publicKey: key });
  } catch (error) {
    throw new LowtideError('wrong-key', 'this is not a usable X25519 public key', { cause: error });
  }
}

function x25519PrivateKey(secret: Uint8Array): KeyObject {
  if (secret.length !== SECRET_BYTES) throw new LowtideError('wrong-key', 'an X25519 key has 32 bytes');
  return createPrivateKey({ key: Buffer.concat([PKCS8_X25519, secret]), format: 'der', type: 'pkcs8' });
}

/** The public half of an X25519 key made from 32 secret bytes: an organisation shows it, and keeps the secret offline. */
export function x25519PublicKey(secret: Uint8Array): Uint8Array {
  const spki = createPublicKey(x25519PrivateKey(secret)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(spki.subarray(SPKI_X25519.length));
}
