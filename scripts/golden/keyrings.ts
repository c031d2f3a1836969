import { decodeCbor, encodeCbor } from '../../src/format/cbor.ts';
import { deriveDomainKeys } from '../../src/format/domain-keys.ts';
import { dumpObject } from '../../src/format/dump.ts';
import {
  addInstance,
  addSlot,
  type Editable,
  newEpoch,
  newKeyring,
  removeSlot,
  renewSlots,
} from '../../src/format/keyring-edit.ts';
import { type Making, type SlotSpec, x25519PublicKey } from '../../src/format/keyring-slots.ts';
import {
  checkKeyring,
  type OpenKeyring,
  parseKeyring,
  signKeyring,
  unlockKeyring,
} from '../../src/format/keyring.ts';
import { parseRecoverySheet, printRecoverySheet } from '../../src/format/recovery-sheet.ts';
import { signingKeyFromSeed, signRecord } from '../../src/format/signing.ts';
import { anyMap } from '../../src/format/test-support.ts';
import { limits, tinyLimits } from '../../src/model/limits.ts';
import { codeOf, entropyOf, flipped, hex, secretOf } from './make.ts';

const key = signingKeyFromSeed(secretOf('instance'));
const second = signingKeyFromSeed(secretOf('second instance'));
const organisation = secretOf('organisation');
const making = (name: string, now: number): Making => ({ entropy: entropyOf(name), limits: tinyLimits, now });

const device: SlotSpec = { kind: 'device', label: 'this machine', secret: secretOf('device') };
const recovery: SlotSpec = { kind: 'recovery', label: 'paper', secret: secretOf('recovery') };
const weak: SlotSpec = { kind: 'passphrase', label: 'weak derivation', passphrase: 'k\u00fcste' };
const strong: SlotSpec = { kind: 'passphrase', label: 'full derivation', passphrase: 'low tide at dawn' };
const firm: SlotSpec = { kind: 'organisation', label: 'the firm', publicKey: x25519PublicKey(organisation) };

function versions(): Record<string, OpenKeyring> {
  const start = making('keyring', 1_700_000_000_000);
  const add = (ring: Editable, spec: SlotSpec, from = start): Editable => addSlot(ring, spec, from);
  const empty = newKeyring({ ...start, signingKey: key, storeSigningSeed: true });
  const full = add(add(add(add(empty, device), recovery), weak), firm);
  const one = signKeyring(add(full, strong, { ...start, limits }) as never, key);
  const two = signKeyring(newEpoch(one, making('epoch', 1_700_100_000_000)), key);
  const joined = addInstance(two, {
    publicKey: second.publicKey,
    continues: one.signed.keyring.instances[0]!.id,
    now: 1_700_200_000_000,
  });
  const three = signKeyring(removeSlot(joined, one.signed.keyring.slots[2]!.id), key);
  const four = signKeyring(renewSlots(three, [device], making('renewed', 1_700_300_000_000)), second);
  return { one, two, three, four };
}

const secrets = [
  { kind: 'device', secret: secretOf('device') },
  { kind: 'recovery', secret: secretOf('recovery') },
  { kind: 'passphrase', passphrase: 'k\u00fcste' },
  { kind: 'passphrase', passphrase: 'low tide at dawn' },
  { kind: 'organisation', privateKey: organisation },
  { kind: 'device', secret: secretOf('another device') },
  { kind: 'passphrase', passphrase: 'kuste' },
] as const;

const plainSecret = (secret: object): object =>
  Object.fromEntries(
    Object.entries(secret).map(([name, value]) => [name, value instanceof Uint8Array ? hex(value) : value]),
  );

function unlocked(open: OpenKeyring, secret: (typeof secrets)[number]): object {
  const plain = plainSecret(secret);
  try {
    const { ringKey, keys, signingKey } = unlockKeyring(open.signed, secret, limits);
    return {
      ...plain,
      ringKey: hex(ringKey),
      domainKeys: keys.epochs.map((epoch) => hex(epoch.domainKey)),
      signingSeed: signingKey && hex(signingKey.seed),
    };
  } catch (error) {
    return { ...plain, code: (error as { code: string }).code };
  }
}

/** F70-F79. */
export function keyringVectors(): object {
  const rings = versions();
  const valid = Object.entries(rings).map(([name, open]) => ({
    name,
    bytes: hex(open.signed.bytes),
    meaning: dumpObject(open.signed.bytes, { limits }),
    unlock: secrets
      .filter(({ kind }) => kind !== 'passphrase' || name === 'one')
      .map((secret) => unlocked(open, secret)),
  }));
  const invalid = badKeyrings(rings['one']!).map(([name, bytes]) => ({
    name,
    bytes: hex(bytes),
    code: codeOf(() => openAny(bytes)),
  }));
  const successors = [
    { previous: 'one', next: 'two', code: null },
    { previous: 'two', next: 'three', code: null },
    { previous: 'three', next: 'four', code: null },
    { previous: 'one', next: 'three', code: 'sequence-fork' },
    { previous: 'two', next: 'four', code: 'wrong-signature' },
    { previous: 'two', next: 'one', code: 'sequence-fork' },
  ];
  return {
    rules: 'F70-F79: keyrings. Invalid ones are parsed, checked and unlocked with the device secret and "x"',
    valid,
    invalid,
    successors,
  };
}

/** Everything that a reader does with a keyring: with the device's secret, then with a wrong password. */
function openAny(bytes: Uint8Array): void {
  const signed = parseKeyring(bytes);
  checkKeyring(signed);
  unlockKeyring(signed, { kind: 'device', secret: secretOf('device') }, limits);
  unlockKeyring(signed, { kind: 'passphrase', passphrase: 'x' }, limits);
}

function badKeyrings({ signed }: OpenKeyring): [string, Uint8Array][] {
  const forge = (change: (body: Record<string, unknown>) => void): Uint8Array => {
    const body = structuredClone(decodeCbor(signed.record.body, anyMap, 'damaged-keyring', 'the keyring'));
    change(body);
    return signRecord('keyring', encodeCbor(body), key);
  };
  const slot = (at: number, change: object) =>
    forge((body) => Object.assign((body['slots'] as object[])[at]!, change));
  const rogue = signingKeyFromSeed(secretOf('rogue'));
  const rogueId = Buffer.from(parseRogue(rogue.publicKey), 'hex');
  return [
    ['a changed body', flipped(signed.bytes, 300)],
    ['signed by another key', signRecord('keyring', signed.record.body, second)],
    ['a newer body', forge((body) => (body['format'] = 2))],
    ['a field too many', forge((body) => (body['more'] = 1))],
    ['version 2 without the one before', forge((body) => (body['version'] = 2))],
    ['no slots', forge((body) => (body['slots'] = []))],
    ['another client', forge((body) => (body['client'] = Buffer.alloc(16, 1)))],
    ['a slot of an unknown kind', slot(0, { kind: 'card' })],
    ['a salt of zeros', slot(0, { salt: new Uint8Array(32) })],
    ['argon2id with 1 TiB', slot(2, { memoryKiB: 2 ** 30 })],
    ['argon2id with 2^20 passes', slot(2, { passes: 2 ** 20 })],
    ['argon2id with 17 lanes', slot(2, { lanes: 17, memoryKiB: 1024 })],
    ['argon2id with less than 8 KiB a lane', slot(2, { lanes: 4, memoryKiB: 31 })],
    [
      'two slots that are too dear together',
      forge((body) => {
        for (const at of [2, 4])
          Object.assign((body['slots'] as object[])[at]!, { memoryKiB: 1 << 20, passes: 9 });
      }),
    ],
    ['sealed keys of another keyring', forge((body) => (body['sealedKeys'] = Buffer.alloc(200, 1)))],
    [
      'an instance that somebody without the keys added',
      forge((body) => {
        (body['instances'] as object[]).push({
          id: rogueId,
          publicKey: rogue.publicKey,
          since: 1,
          continues: null,
        });
      }),
    ],
  ];
}

function parseRogue(publicKey: Uint8Array): string {
  const empty = newKeyring({
    ...making('rogue', 1),
    signingKey: { ...key, publicKey },
    storeSigningSeed: false,
  });
  return empty.body.client;
}

/** F80. */
export function sheetVectors(): object {
  const client = versions()['one']!.signed.keyring.client;
  const sheets = [
    { client, secret: secretOf('recovery'), center: secretOf('center CA') },
    { client, secret: new Uint8Array(32), center: null },
  ];
  const valid = sheets.map((sheet) => ({
    client,
    secret: hex(sheet.secret),
    center: sheet.center && hex(sheet.center),
    text: printRecoverySheet(sheet, { Name: 'ann-laptop' }),
  }));
  const { text } = valid[0]!;
  const line = /K2 {2}.{4}/.exec(text)![0];
  const bad: [string, string][] = [
    ['a wrong character', text.replace(line, line.slice(0, -1) + (line.endsWith('0') ? '1' : '0'))],
    ['a line that is missing', text.replace(/^.*K2.*\n/m, '')],
    ['two lines exchanged', text.replace('K2', 'KX').replace('K3', 'K2').replace('KX', 'K3')],
    ['a character too few', text.replace(line, line.slice(0, -1))],
    ['nothing', ''],
  ];
  const invalid = bad.map(([name, text]) => {
    try {
      parseRecoverySheet(text);
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      return { name, text, code, message };
    }
    throw new Error(`${name} was not refused`);
  });
  return { rules: 'F80: recovery sheets', valid, invalid };
}

/** F69: what a keyring of a shared domain proves, and two clients of one domain. */
export function domainProofVectors(): object {
  const domainKey = secretOf('shared domain');
  const keys = deriveDomainKeys(domainKey);
  const start = making('shared keyring', 1_800_000_000_000);
  const rings = [key, second].map((signingKey) => {
    const ring = newKeyring({ ...start, signingKey, storeSigningSeed: false, domainKey });
    return signKeyring(addSlot(ring, device, start), signingKey).signed;
  });
  const [one, other] = rings as [(typeof rings)[0], (typeof rings)[0]];
  const foreign = { key: one.keyring.proofs![0]!, client: other.keyring.client };
  return {
    rules: 'F69: proofs of one domain by two clients, their keyrings, and proofs that prove nothing',
    domainKey: hex(domainKey),
    domain: keys.id,
    valid: rings.map(({ keyring, bytes }) => ({
      client: keyring.client,
      key: hex(keyring.proofs![0]!.key),
      signature: hex(keyring.proofs![0]!.signature),
      keyring: hex(bytes),
      meaning: dumpObject(bytes, { limits }),
    })),
    invalid: [
      {
        name: "another client's",
        client: foreign.client,
        key: hex(foreign.key.key),
        signature: hex(foreign.key.signature),
      },
      {
        name: 'with another key',
        client: one.keyring.client,
        key: hex(second.publicKey),
        signature: hex(one.keyring.proofs![0]!.signature),
      },
    ],
  };
}
