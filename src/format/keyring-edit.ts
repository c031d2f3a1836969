import { equalBytes } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { InstanceId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { deriveDomainKeys, KeyStore } from './domain-keys.ts';
import type { KeyringDraft, OpenKeyring } from './keyring.ts';
import { type Making, makeSlot, SECRET_BYTES, type Slot, type SlotSpec } from './keyring-slots.ts';
import { instanceIdOf, type SigningKey } from './signing.ts';

/** Every change is made on the newest version or on a draft that is not signed yet: several changes, one version. */
export type Editable = OpenKeyring | KeyringDraft;

/** Version 1 of a new client, still without a slot: add at least one, then sign it with the same signing key. */
export function newKeyring(
  options: Making & {
    readonly signingKey: SigningKey;
    /** True: whoever opens the keyring can sign as this instance. False: only the device that keeps the seed can. */
    readonly storeSigningSeed: boolean;
    /** Of a domain that is shared with another client of the same owner; else a new one. */
    readonly domainKey?: Uint8Array;
  },
): KeyringDraft {
  const { entropy, now, signingKey } = options;
  const domain = deriveDomainKeys(options.domainKey ?? entropy(SECRET_BYTES));
  const id = instanceIdOf(signingKey.publicKey);
  return {
    ringKey: entropy(SECRET_BYTES),
    keys: new KeyStore([domain]),
    signingKey: options.storeSigningSeed ? signingKey : null,
    body: {
      client: id as string as KeyringDraft['body']['client'],
      version: 1,
      previous: null,
      epochs: [{ domain: domain.id, epoch: 1, since: now }],
      slots: [],
      instances: [{ id, publicKey: signingKey.publicKey, since: now, continues: null }],
    },
  };
}

export function addSlot(
  ring: Editable,
  spec: SlotSpec,
  making: Making,
): KeyringDraft & { readonly slot: Slot } {
  const draft = draftOf(ring);
  const slot = makeSlot(draft.ringKey, spec, making);
  return { ...draft, slot, body: { ...draft.body, slots: [...draft.body.slots, slot] } };
}

/**
 * Takes a slot away. It no longer opens this version; but who kept an older copy of the keyring knows the ring key, and
 * so opens this one too. To shut somebody out of new data: `renewSlots` and `newEpoch` in one version.
 * @throws LowtideError `not-found`, `wrong-state` for the last slot
 */
export function removeSlot(ring: Editable, id: string): KeyringDraft {
  const draft = draftOf(ring);
  const slots = draft.body.slots.filter((slot) => slot.id !== id);
  if (slots.length === draft.body.slots.length)
    throw new LowtideError('not-found', `there is no key slot ${id}`);
  if (slots.length === 0) {
    throw new LowtideError(
      'wrong-state',
      'the last key slot cannot be removed: nothing could be read any more',
    );
  }
  return { ...draft, body: { ...draft.body, slots } };
}

/**
 * A new ring key under new slots: every slot that is not given anew is gone, except the organisation's, which are
 * wrapped anew because that needs no secret.
 */
export function renewSlots(ring: Editable, specs: readonly SlotSpec[], making: Making): KeyringDraft {
  const draft = draftOf(ring);
  const ringKey = making.entropy(SECRET_BYTES);
  const organisations = draft.body.slots.flatMap((slot): SlotSpec[] =>
    slot.kind === 'organisation' ? [{ kind: slot.kind, label: slot.label, publicKey: slot.recipient }] : [],
  );
  const slots = [...specs, ...organisations].map((spec) => makeSlot(ringKey, spec, making));
  return { ...draft, ringKey, body: { ...draft.body, slots } };
}

/** A new domain key for everything that is written from now on. Deduplication with older data ends. */
export function newEpoch(ring: Editable, making: Making & { readonly domainKey?: Uint8Array }): KeyringDraft {
  const draft = draftOf(ring);
  const domain = deriveDomainKeys(making.domainKey ?? making.entropy(SECRET_BYTES));
  const { epochs } = draft.body;
  return {
    ...draft,
    keys: new KeyStore([...draft.keys.epochs, domain]),
    body: {
      ...draft.body,
      epochs: [...epochs, { domain: domain.id, epoch: epochs.at(-1)!.epoch + 1, since: making.now }],
    },
  };
}

/** @param options.signingKey set to keep this instance's seed in the keyring instead of the one that is there */
export function addInstance(
  ring: Editable,
  options: {
    readonly publicKey: Uint8Array;
    readonly continues: InstanceId | null;
    readonly now: UnixMillis;
    readonly signingKey?: SigningKey;
  },
): KeyringDraft {
  const draft = draftOf(ring);
  const { publicKey, continues, now, signingKey } = options;
  if (signingKey !== undefined && !equalBytes(signingKey.publicKey, publicKey)) {
    throw new TypeError('the signing key is not the one of the new instance');
  }
  const instance = { id: instanceIdOf(publicKey), publicKey, since: now, continues };
  return {
    ...draft,
    signingKey: signingKey ?? draft.signingKey,
    body: { ...draft.body, instances: [...draft.body.instances, instance] },
  };
}

/** The next version with nothing changed but what its writer adds to every one. */
export function nextVersion(ring: OpenKeyring): KeyringDraft {
  return draftOf(ring);
}

function draftOf(ring: Editable): KeyringDraft {
  if ('body' in ring) return ring;
  const { signed, ringKey, keys, signingKey } = ring;
  const { client, version, epochs, slots, instances } = signed.keyring;
  const body = { client, version: version + 1, previous: signed.hash, epochs, slots, instances };
  return { ringKey, keys, signingKey, body };
}
