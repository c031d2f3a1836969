import { createHash } from 'node:crypto';
import { bytesOfHex, equalBytes, hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { ClientId, DomainKeyId, InstanceId, KeyringHash } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import type { UnixMillis } from '../model/time.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { deriveDomainKeys, KeyStore } from './domain-keys.ts';
import { type DomainProof, proveDomain } from './domain-proof.ts';
import {
  type Derive,
  openPassphraseSlot,
  openSlot,
  type Secret,
  type Slot,
  slotBody,
  slotOf,
  slotShape,
} from './keyring-slots.ts';
import { bytesOf, bytesUpTo, count, countFrom, listOf, literal, orNull, record } from './shape.ts';
import {
  checkSignature,
  instanceIdOf,
  parseRecord,
  type SignedRecord,
  type SigningKey,
  signingKeyFromSeed,
  signRecord,
} from './signing.ts';
import { openBox, sealBox } from './siv-box.ts';

/**
 * A client's keys, wrapped once per slot, and the public keys of its instances (format F70-F79). Every version is a
 * signed record of its own; version n+1 names version n by hash and is signed by an instance that n knows.
 */
export interface Keyring {
  readonly client: ClientId;
  /** From 1, one more with every change. */
  readonly version: number;
  readonly previous: KeyringHash | null;
  /** Who signs this version: one of `instances`. */
  readonly signer: InstanceId;
  /** Oldest first, at least one; what a writer seals under is the last. */
  readonly epochs: readonly KeyEpoch[];
  /** One for each epoch: that this client knows its key. Null in what was written before there were any. */
  readonly proofs: readonly DomainProof[] | null;
  /** The domain keys under the ring key: opened by `unlockKeyring`. */
  readonly sealedKeys: Uint8Array;
  /** At least one. */
  readonly slots: readonly Slot[];
  /** In order of joining; the first one names the client. */
  readonly instances: readonly Instance[];
}

export interface KeyEpoch {
  readonly domain: DomainKeyId;
  /** Grows with every epoch. */
  readonly epoch: number;
  readonly since: UnixMillis;
}

export interface Instance {
  readonly id: InstanceId;
  /** Ed25519, 32 bytes; `id` is its name. */
  readonly publicKey: Uint8Array;
  readonly since: UnixMillis;
  /** The instance whose machine was restored from an old image, cloned or replaced; null for the first. */
  readonly continues: InstanceId | null;
}

export interface SignedKeyring {
  readonly hash: KeyringHash;
  readonly keyring: Keyring;
  /** The whole signed record, as it is stored and sent. */
  readonly bytes: Uint8Array;
  readonly record: SignedRecord;
}

/** A keyring with its keys in memory. */
export interface OpenKeyring extends RingKeys {
  readonly signed: SignedKeyring;
}

/** What the slots protect. */
export interface RingKeys {
  /** 32 bytes: what each slot wraps. */
  readonly ringKey: Uint8Array;
  readonly keys: KeyStore;
  /** Of one of the instances, if the owner chose to keep it in the keyring; else the device has it. */
  readonly signingKey: SigningKey | null;
}

/** A version that is not signed yet: made by keyring-edit.ts, finished by `signKeyring`. */
export interface KeyringDraft extends RingKeys {
  readonly body: Omit<Keyring, 'signer' | 'sealedKeys' | 'proofs'>;
}

const KEYRING_BYTES_MAX = 1 << 18;
const SLOTS_MAX = 64;
const EPOCHS_MAX = 1000;
const INSTANCES_MAX = 1000;
const KEYS_CONTEXT = 'lowtide/keyring/1';

const bodyShape = record(
  {
    format: literal(1),
    client: bytesOf(16),
    version: countFrom(1),
    previous: orNull(bytesOf(32)),
    signer: bytesOf(16),
    epochs: listOf(record({ domain: bytesOf(16), epoch: countFrom(1), since: count }), {
      min: 1,
      max: EPOCHS_MAX,
    }),
    sealedKeys: bytesUpTo(KEYRING_BYTES_MAX),
    slots: listOf(slotShape, { min: 1, max: SLOTS_MAX }),
    instances: listOf(
      record({ id: bytesOf(16), publicKey: bytesOf(32), since: count, continues: orNull(bytesOf(16)) }),
      { min: 1, max: INSTANCES_MAX },
    ),
  },
  { proofs: listOf(record({ key: bytesOf(32), signature: bytesOf(64) }), { min: 1, max: EPOCHS_MAX }) },
);

const keysShape = record({
  domains: listOf(record({ key: bytesOf(32) })),
  signingSeed: orNull(bytesOf(32)),
  instances: bytesOf(32),
});

const damaged = (why: string): LowtideError => new LowtideError('damaged-keyring', `the keyring ${why}`);
const bytesOrNull = (hex: string | null): Uint8Array | null => (hex === null ? null : bytesOfHex(hex));

/**
 * Seals the keys under the ring key and signs the version.
 * @param key of an instance that the draft names, and that the version before names too
 */
export function signKeyring(draft: KeyringDraft, key: SigningKey): OpenKeyring {
  const { body, ringKey, keys, signingKey } = draft;
  if (body.slots.length === 0) throw new TypeError('a keyring without a slot can never be opened');
  const secrets = encodeCbor({
    domains: keys.epochs.map((epoch) => ({ key: epoch.domainKey })),
    signingSeed: signingKey?.seed ?? null,
    instances: instancesHash(body.instances),
  });
  const bytes = encodeCbor({
    format: 1,
    client: bytesOfHex(body.client),
    version: body.version,
    previous: bytesOrNull(body.previous),
    signer: bytesOfHex(instanceIdOf(key.publicKey)),
    epochs: body.epochs.map((epoch) => ({ ...epoch, domain: bytesOfHex(epoch.domain) })),
    proofs: keys.epochs.map((epoch) => proveDomain(epoch, body.client)),
    sealedKeys: sealBox(ringKey, KEYS_CONTEXT, secrets),
    slots: body.slots.map(slotBody),
    instances: body.instances.map((instance) => ({
      ...instance,
      id: bytesOfHex(instance.id),
      continues: bytesOrNull(instance.continues),
    })),
  });
  const signed = parseKeyring(signRecord('keyring', bytes, key));
  checkKeyring(signed);
  return { signed, ringKey, keys, signingKey };
}

/**
 * Reads a keyring without trusting it: call `checkKeyring` before using what it says.
 * @throws LowtideError `damaged-keyring`, `too-large`, `newer-format`
 */
export function parseKeyring(bytes: Uint8Array): SignedKeyring {
  if (bytes.length > KEYRING_BYTES_MAX)
    throw new LowtideError('too-large', 'the keyring is larger than 256 KiB');
  const record = parseRecord('keyring', bytes, 'damaged-keyring');
  const body = decodeCbor(record.body, bodyShape, 'damaged-keyring', 'the keyring');
  const keyring: Keyring = {
    client: hexOf(body.client) as ClientId,
    version: body.version,
    previous: body.previous && (hexOf(body.previous) as KeyringHash),
    signer: hexOf(body.signer) as InstanceId,
    epochs: body.epochs.map((epoch) => ({ ...epoch, domain: hexOf(epoch.domain) as DomainKeyId })),
    proofs: body.proofs ?? null,
    sealedKeys: body.sealedKeys,
    slots: body.slots.map(slotOf),
    instances: body.instances.map((instance) => ({
      ...instance,
      id: hexOf(instance.id) as InstanceId,
      continues: instance.continues && (hexOf(instance.continues) as InstanceId),
    })),
  };
  checkConsistent(keyring);
  return { hash: record.hash as KeyringHash, keyring, bytes, record };
}

/** What must hold inside one version (format F72, F73). */
function checkConsistent(keyring: Keyring): void {
  const { instances, epochs, proofs, slots, version, previous } = keyring;
  if ((instances[0]!.id as string) !== keyring.client)
    throw damaged('has another first instance than its client id says');
  const seen = new Set<InstanceId>();
  for (const { id, publicKey, continues } of instances) {
    if (id !== instanceIdOf(publicKey)) throw damaged('has an instance whose id is not the name of its key');
    if (seen.has(id)) throw damaged('names an instance twice');
    if (seen.size === 0 ? continues !== null : continues !== null && !seen.has(continues)) {
      throw damaged('has an instance that continues one that was not there before it');
    }
    seen.add(id);
  }
  if (!seen.has(keyring.signer)) throw damaged('is signed by an instance that it does not name');
  if (epochs.some((epoch, at) => at > 0 && epoch.epoch <= epochs[at - 1]!.epoch)) {
    throw damaged('has epochs that do not grow');
  }
  if (new Set(epochs.map((epoch) => epoch.domain)).size < epochs.length)
    throw damaged('names an epoch twice');
  if (proofs !== null && proofs.length !== epochs.length) throw damaged('proves other epochs than it names');
  if (new Set(slots.map((slot) => slot.id)).size < slots.length) throw damaged('has two slots with one id');
  if ((version === 1) !== (previous === null)) throw damaged('does not name the version before it');
}

/**
 * Checks that the version is signed by the instance that it names as its signer.
 * @param trusted public keys of instances that the caller knows already; the signer must be one of them
 * @throws LowtideError `wrong-signature`
 */
export function checkKeyring(signed: SignedKeyring, trusted?: readonly Uint8Array[]): void {
  const { keyring, record } = signed;
  const key = keyring.instances.find((instance) => instance.id === keyring.signer)!.publicKey;
  checkSignature('keyring', record, key);
  if (trusted !== undefined && !trusted.some((known) => equalBytes(known, key))) {
    throw new LowtideError(
      'wrong-signature',
      `the keyring is signed by instance ${keyring.signer.slice(0, 12)}, which is not known here`,
    );
  }
}

/**
 * Checks that `next` is the version after `previous`: one more, naming it, signed by an instance that it knows, with all
 * its epochs and instances (format F74).
 * @throws LowtideError `wrong-signature`, `sequence-fork`
 */
export function checkSuccessor(previous: SignedKeyring, next: SignedKeyring): void {
  const before = previous.keyring;
  const after = next.keyring;
  if (after.client !== before.client) {
    throw new LowtideError('wrong-signature', 'the keyring belongs to another client');
  }
  checkKeyring(
    next,
    before.instances.map((instance) => instance.publicKey),
  );
  const continued =
    after.version === before.version + 1 &&
    after.previous === previous.hash &&
    startsWith(after.epochs, before.epochs) &&
    startsWith(after.instances, before.instances);
  if (!continued) {
    throw new LowtideError(
      'sequence-fork',
      `keyring version ${after.version} does not continue version ${before.version} that is known here`,
    );
  }
}

/** Whether `list` begins with every item of `start`, field by field. */
function startsWith(list: readonly object[], start: readonly object[]): boolean {
  return start.every((item, at) => {
    const other = list[at];
    return other !== undefined && equalBytes(encodeCbor(item), encodeCbor(other));
  });
}

/**
 * Tries every slot of the secret's kind (format F75-F78).
 * @throws LowtideError `wrong-password` or `wrong-key` if none opens, `wrong-signature`, `damaged-keyring`: also for key
 *   derivation that would cost more than `limits` allow, before any of it is done
 */
export function unlockKeyring(signed: SignedKeyring, secret: Secret, limits: Limits): OpenKeyring {
  checkKeyring(signed);
  return openWith(openSlot(signed.keyring.slots, secret, limits), signed);
}

/** The same; what a passphrase costs is done by `derive`, while the caller goes on. */
export async function unlockKeyringBeside(
  signed: SignedKeyring,
  secret: Secret,
  limits: Limits,
  derive: Derive,
): Promise<OpenKeyring> {
  if (secret.kind !== 'passphrase') return unlockKeyring(signed, secret, limits);
  checkKeyring(signed);
  return openWith(await openPassphraseSlot(signed.keyring.slots, secret, limits, derive), signed);
}

function openWith(ringKey: Uint8Array, signed: SignedKeyring): OpenKeyring {
  const message = 'the keys in the keyring do not open with its own ring key';
  const box = openBox(ringKey, KEYS_CONTEXT, signed.keyring.sealedKeys, 'damaged-keyring', message);
  const secrets = decodeCbor(box, keysShape, 'damaged-keyring', 'the sealed half of the keyring');
  const { epochs, instances } = signed.keyring;
  const keys = secrets.domains.map((domain) => deriveDomainKeys(domain.key));
  if (keys.length !== epochs.length || keys.some((key, at) => key.id !== epochs[at]!.domain)) {
    throw damaged('names other epochs than it holds keys of');
  }
  if (!equalBytes(secrets.instances, instancesHash(instances))) {
    throw damaged('names other instances than its sealed half: somebody without the keys added one');
  }
  const signingKey = secrets.signingSeed && signingKeyFromSeed(secrets.signingSeed);
  if (signingKey !== null && !instances.some(({ id }) => id === instanceIdOf(signingKey.publicKey))) {
    throw damaged('holds a signing key of an instance that it does not name');
  }
  return { signed, ringKey, keys: new KeyStore(keys), signingKey };
}

/** Binds the list of instances to who holds the ring key, so that no store can add one (format F73). */
function instancesHash(instances: readonly Instance[]): Uint8Array {
  const hash = createHash('sha256');
  for (const instance of instances) hash.update(instance.publicKey);
  return new Uint8Array(hash.digest());
}
