import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { isLowtideError } from '../model/errors.ts';
import { tinyLimits } from '../model/limits.ts';
import { addInstance, addSlot, newEpoch, newKeyring, removeSlot, renewSlots } from './keyring-edit.ts';
import {
  checkKeyring,
  checkSuccessor,
  type KeyringDraft,
  type OpenKeyring,
  parseKeyring,
  signKeyring,
  unlockKeyring,
  unlockKeyringBeside,
} from './keyring.ts';
import { type Making, type Secret, type SlotSpec, x25519PublicKey } from './keyring-slots.ts';
import { type PassphraseInput, passphraseKey } from './passphrase-key.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { clientIdOf, instanceIdOf, signingKeyFromSeed, signRecord } from './signing.ts';
import { anyMap } from './test-support.ts';
import { sealBox } from './siv-box.ts';

const code = (expected: string) => (error: unknown) => {
  assert.ok(isLowtideError(error), String(error));
  assert.equal(error.code, expected, error.message);
  return true;
};

function makingFrom(seed: string): Making {
  let turn = 0;
  const entropy = (length: number): Uint8Array =>
    new Uint8Array(createHash('sha512').update(`${seed} ${turn++}`).digest().subarray(0, length));
  return { entropy, limits: tinyLimits, now: 1_700_000_000_000 };
}

const seedOf = (name: string): Uint8Array => new Uint8Array(createHash('sha256').update(name).digest());
const signingKey = signingKeyFromSeed(seedOf('ann'));
const device: Secret = { kind: 'device', secret: seedOf('device') };
const recovery: Secret = { kind: 'recovery', secret: seedOf('recovery') };
const passphrase: Secret = { kind: 'passphrase', passphrase: 'k\u00fcste' };
const organisationKey = seedOf('organisation');
const organisation: Secret = { kind: 'organisation', privateKey: organisationKey };

function draft(storeSigningSeed = true): KeyringDraft {
  const making = makingFrom('draft');
  const slots = [
    { ...device, label: 'this machine' },
    { ...recovery, label: 'paper' },
    { ...passphrase, label: 'password' },
    { kind: 'organisation', label: 'the firm', publicKey: x25519PublicKey(organisationKey) },
  ] as const;
  const empty = newKeyring({ ...making, signingKey, storeSigningSeed });
  return slots.reduce<KeyringDraft>((ring, slot) => addSlot(ring, slot as SlotSpec, making), empty);
}

function ring(): OpenKeyring {
  return signKeyring(draft(), signingKey);
}

/** The same version with its body changed and signed anew: what somebody with a signing key could write. */
function forge(open: OpenKeyring, change: (body: Record<string, unknown>) => void, key = signingKey) {
  const body = structuredClone(decodeCbor(open.signed.record.body, anyMap, 'damaged-keyring', 'test'));
  body['signer'] = Buffer.from(instanceIdOf(key.publicKey), 'hex');
  change(body);
  return signRecord('keyring', encodeCbor(body), key);
}

describe('keyring (format F70-F79)', () => {
  it('F75: every kind of slot opens the same keys', () => {
    const { signed, ringKey, keys } = ring();
    for (const secret of [device, recovery, passphrase, organisation]) {
      const open = unlockKeyring(parseKeyring(signed.bytes), secret, tinyLimits);
      assert.deepEqual(open.ringKey, ringKey);
      assert.deepEqual(open.keys.newest.domainKey, keys.newest.domainKey);
      assert.deepEqual(open.signingKey?.seed, signingKey.seed);
    }
  });

  it('F72: the client is named by its first instance, and the seed is kept only if the owner chose so', () => {
    const open = signKeyring(draft(false), signingKey);
    assert.equal(open.signed.keyring.client, clientIdOf(signingKey.publicKey));
    assert.equal(open.signed.keyring.version, 1);
    assert.equal(unlockKeyring(open.signed, device, tinyLimits).signingKey, null);
  });

  it('F77: a passphrase opens in any normalisation of the same text', () => {
    const typed: Secret = { kind: 'passphrase', passphrase: 'ku\u0308ste' };
    assert.doesNotThrow(() => unlockKeyring(ring().signed, typed, tinyLimits));
  });

  it('F75: wrong secrets and secrets of another kind are refused by their own code', () => {
    const { signed } = ring();
    const unlock = (secret: Secret) => () => unlockKeyring(signed, secret, tinyLimits);
    assert.throws(unlock({ kind: 'passphrase', passphrase: 'kuste' }), code('wrong-password'));
    assert.throws(unlock({ kind: 'device', secret: seedOf('recovery') }), code('wrong-key'));
    assert.throws(unlock({ kind: 'recovery', secret: seedOf('device') }), code('wrong-key'));
    assert.throws(unlock({ kind: 'organisation', privateKey: seedOf('x') }), code('wrong-key'));
    const one = removeSlot(ring(), signed.keyring.slots[2]!.id);
    const two = signKeyring(one, signingKey);
    assert.throws(() => unlockKeyring(two.signed, passphrase, tinyLimits), code('wrong-password'));
  });

  it('F77: hostile argon2 parameters are refused before any work', () => {
    const hostile = [
      { memoryKiB: 2 ** 30 },
      { passes: 2 ** 20 },
      { lanes: 2 ** 20 },
      { lanes: 0 },
      { passes: 0 },
      { memoryKiB: 7 },
      { memoryKiB: Number.MAX_SAFE_INTEGER, passes: Number.MAX_SAFE_INTEGER },
    ];
    for (const change of hostile) {
      const bytes = forge(ring(), (body) => Object.assign((body['slots'] as object[])[2]!, change));
      assert.throws(
        () => unlockKeyring(parseKeyring(bytes), passphrase, tinyLimits),
        code('damaged-keyring'),
      );
    }
    const many = forge(ring(), (body) => {
      const slots = body['slots'] as Record<string, unknown>[];
      const dear = { ...slots[2]!, memoryKiB: tinyLimits.argon2_memory_KiB_max, passes: 16 };
      body['slots'] = [1, 2].map((n) => ({ ...dear, id: Buffer.alloc(8, n) }));
    });
    assert.throws(() => unlockKeyring(parseKeyring(many), passphrase, tinyLimits), code('damaged-keyring'));
  });

  it('F77: a key derived elsewhere opens the same, is asked for once for each slot, and not for hostile ones', async () => {
    const asked: PassphraseInput[] = [];
    const derive = async (input: PassphraseInput): Promise<Uint8Array> => {
      asked.push(input);
      return passphraseKey(structuredClone(input));
    };
    const { signed, ringKey } = ring();
    const open = await unlockKeyringBeside(signed, passphrase, tinyLimits, derive);
    assert.deepEqual(open.ringKey, ringKey);
    assert.equal(asked.length, 1);
    const wrong: Secret = { kind: 'passphrase', passphrase: 'kuste' };
    await assert.rejects(unlockKeyringBeside(signed, wrong, tinyLimits, derive), code('wrong-password'));
    assert.equal(asked.length, 2);
    assert.deepEqual((await unlockKeyringBeside(signed, device, tinyLimits, derive)).ringKey, ringKey);
    const hostile = forge(ring(), (body) => Object.assign((body['slots'] as object[])[2]!, { passes: 17 }));
    const refused = unlockKeyringBeside(parseKeyring(hostile), passphrase, tinyLimits, derive);
    await assert.rejects(refused, code('damaged-keyring'));
    assert.equal(asked.length, 2);
  });

  it('F76: a zero salt is refused', () => {
    const bytes = forge(ring(), (body) =>
      Object.assign((body['slots'] as object[])[0]!, { salt: new Uint8Array(32) }),
    );
    assert.throws(() => parseKeyring(bytes), code('damaged-keyring'));
  });

  it('F78: a public key that gives everybody the same secret is refused', () => {
    const spec = { kind: 'organisation', label: 'x', publicKey: new Uint8Array(32) } as const;
    assert.throws(() => addSlot(ring(), spec, makingFrom('x')), code('wrong-key'));
  });

  it('F75: an empty password is refused', () => {
    const spec = { kind: 'passphrase', label: 'x', passphrase: '' } as const;
    assert.throws(() => addSlot(ring(), spec, makingFrom('x')), code('no-password'));
  });

  it('F79: the last slot cannot be removed, an unknown one not either', () => {
    const open = ring();
    const ids = open.signed.keyring.slots.map((slot) => slot.id);
    const one = ids.slice(1).reduce<KeyringDraft | OpenKeyring>((from, id) => removeSlot(from, id), open);
    assert.throws(() => removeSlot(one, ids[0]!), code('wrong-state'));
    assert.throws(() => removeSlot(open, '0123456789abcdef'), code('not-found'));
  });

  it('F79: a new epoch is what writers use, and old blocks still open', () => {
    const before = ring();
    const after = signKeyring(newEpoch(before, makingFrom('epoch')), signingKey);
    checkSuccessor(before.signed, after.signed);
    const open = unlockKeyring(parseKeyring(after.signed.bytes), recovery, tinyLimits);
    assert.notEqual(open.keys.newest.id, before.keys.newest.id);
    assert.deepEqual(open.keys.find(before.keys.newest.id).domainKey, before.keys.newest.domainKey);
    assert.deepEqual(
      open.signed.keyring.epochs.map((epoch) => epoch.epoch),
      [1, 2],
    );
  });

  it('F79: renewed slots have another ring key, and only the given ones and the organisation are left', () => {
    const before = ring();
    const draft = renewSlots(before, [{ ...recovery, label: 'new paper' }], makingFrom('renew'));
    const after = signKeyring(draft, signingKey);
    checkSuccessor(before.signed, after.signed);
    assert.notDeepEqual(after.ringKey, before.ringKey);
    assert.doesNotThrow(() => unlockKeyring(after.signed, recovery, tinyLimits));
    assert.doesNotThrow(() => unlockKeyring(after.signed, organisation, tinyLimits));
    assert.throws(() => unlockKeyring(after.signed, device, tinyLimits), code('wrong-key'));
  });

  it('F73: a store without the keys cannot add an instance, even with a good signature', () => {
    const rogue = signingKeyFromSeed(seedOf('rogue'));
    const added = forge(
      ring(),
      (body) => {
        const id = Buffer.from(instanceIdOf(rogue.publicKey), 'hex');
        (body['instances'] as object[]).push({ id, publicKey: rogue.publicKey, since: 1, continues: null });
      },
      rogue,
    );
    const signed = parseKeyring(added);
    checkKeyring(signed);
    assert.throws(() => checkKeyring(signed, [signingKey.publicKey]), code('wrong-signature'));
    assert.throws(() => unlockKeyring(signed, recovery, tinyLimits), code('damaged-keyring'));
  });

  it('F71: sealed keys must be those of the epochs, and the seed that of an instance', () => {
    const open = ring();
    const seal = (secrets: object): Uint8Array =>
      forge(
        open,
        (body) => (body['sealedKeys'] = sealBox(open.ringKey, 'lowtide/keyring/1', encodeCbor(secrets))),
      );
    const good = {
      domains: [{ key: open.keys.newest.domainKey }],
      signingSeed: null,
      instances: createHash('sha256').update(signingKey.publicKey).digest(),
    };
    assert.doesNotThrow(() => unlockKeyring(parseKeyring(seal(good)), device, tinyLimits));
    for (const change of [
      { domains: [] },
      { domains: [{ key: seedOf('other domain') }] },
      { domains: [...good.domains, ...good.domains] },
      { signingSeed: seedOf('stranger') },
      { signingSeed: new Uint8Array(31) },
      { instances: seedOf('other instances') },
      { more: 1 },
    ]) {
      const signed = parseKeyring(seal({ ...good, ...change }));
      assert.throws(() => unlockKeyring(signed, device, tinyLimits), code('damaged-keyring'));
    }
  });

  it('F74: a chain of versions holds; a fork, a gap, a stranger and a shortened list do not', () => {
    const one = ring();
    const machine = signingKeyFromSeed(seedOf('machine 2'));
    const joined = addInstance(one, {
      publicKey: machine.publicKey,
      continues: one.signed.keyring.instances[0]!.id,
      now: 5,
    });
    const two = signKeyring(joined, signingKey);
    const three = signKeyring(newEpoch(two, makingFrom('3')), machine);
    checkSuccessor(one.signed, two.signed);
    checkSuccessor(two.signed, three.signed);
    assert.throws(
      () => checkSuccessor(one.signed, signKeyring(joined, machine).signed),
      code('wrong-signature'),
    );
    assert.throws(() => checkSuccessor(two.signed, two.signed), code('sequence-fork'));
    const other = signKeyring(newEpoch(one, makingFrom('fork')), signingKey);
    assert.throws(() => checkSuccessor(other.signed, three.signed), code('wrong-signature'));
    const gap = signKeyring(newEpoch(three, makingFrom('4')), signingKey);
    assert.throws(() => checkSuccessor(two.signed, gap.signed), code('sequence-fork'));
    const shortened = forge(three, (body) => (body['instances'] as object[]).pop());
    assert.throws(() => checkSuccessor(two.signed, parseKeyring(shortened)), code('sequence-fork'));
    const others = newKeyring({ ...makingFrom('z'), signingKey: machine, storeSigningSeed: false });
    const foreign = signKeyring(addSlot(others, { ...device, label: 'd' }, makingFrom('y')), machine);
    assert.throws(() => checkSuccessor(one.signed, foreign.signed), code('wrong-signature'));
  });

  it('F41: another signature, another tag, a newer format', () => {
    const open = ring();
    const stranger = signingKeyFromSeed(seedOf('stranger'));
    const byOther = parseKeyring(signRecord('keyring', open.signed.record.body, stranger));
    assert.throws(() => checkKeyring(byOther), code('wrong-signature'));
    assert.throws(() => unlockKeyring(byOther, device, tinyLimits), code('wrong-signature'));
    const asManifest = signRecord('manifest', open.signed.record.body, signingKey);
    assert.throws(() => parseKeyring(asManifest), code('damaged-keyring'));
    assert.throws(() => parseKeyring(forge(open, (body) => (body['format'] = 2))), code('newer-format'));
    assert.throws(() => parseKeyring(forge(open, (body) => (body['more'] = 2))), code('damaged-keyring'));
    assert.throws(() => parseKeyring(new Uint8Array((1 << 18) + 1)), code('too-large'));
  });

  it('F72: inconsistent lists are refused', () => {
    const open = ring();
    const changes: ((body: Record<string, unknown>) => void)[] = [
      (body) => (body['client'] = Buffer.alloc(16)),
      (body) => (body['signer'] = Buffer.alloc(16)),
      (body) => (body['version'] = 2),
      (body) => (body['previous'] = Buffer.alloc(32)),
      (body) => (body['slots'] = []),
      (body) => (body['epochs'] = []),
      (body) => (body['instances'] = []),
      (body) => (body['slots'] as object[]).push((body['slots'] as object[])[0]!),
      (body) => (body['epochs'] as object[]).push((body['epochs'] as object[])[0]!),
      (body) => (body['instances'] as object[]).push((body['instances'] as object[])[0]!),
      (body) => Object.assign((body['instances'] as object[])[0]!, { publicKey: Buffer.alloc(32) }),
      (body) => Object.assign((body['instances'] as object[])[0]!, { continues: Buffer.alloc(16) }),
    ];
    for (const change of changes) {
      assert.throws(() => parseKeyring(forge(open, change)), code('damaged-keyring'), change.toString());
    }
  });

  it('F50: every changed bit of the sealed half is noticed', () => {
    const open = ring();
    for (let at = 0; at < open.signed.keyring.sealedKeys.length; at += 7) {
      const bytes = forge(open, (body) => {
        (body['sealedKeys'] as Uint8Array)[at]! ^= 1 << (at % 8);
      });
      assert.throws(() => unlockKeyring(parseKeyring(bytes), device, tinyLimits), code('damaged-keyring'));
    }
  });
});
