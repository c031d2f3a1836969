import { decodeCbor, encodeCbor } from '../../src/format/cbor.ts';
import { dumpObject } from '../../src/format/dump.ts';
import {
  checkManifest,
  parseManifest,
  sealManifestDetails,
  signManifest,
} from '../../src/format/manifest.ts';
import { openReceipt, signReceipt } from '../../src/format/receipt.ts';
import {
  centerIdOf,
  clientIdOf,
  instanceIdOf,
  parseRecord,
  type SignedKind,
  signingKeyFromSeed,
  signRecord,
} from '../../src/format/signing.ts';
import { anyMap, testKeys, testStore } from '../../src/format/test-support.ts';
import { openVoid, signVoid } from '../../src/format/void-record.ts';
import type { CenterId } from '../../src/model/ids.ts';
import { limits } from '../../src/model/limits.ts';
import type { PathKey } from '../../src/model/paths.ts';
import { codeOf, flipped, hex, secretOf } from './make.ts';

const key = signingKeyFromSeed(secretOf('instance'));
const other = signingKeyFromSeed(secretOf('other'));
const center = signingKeyFromSeed(secretOf('center'));
const client = clientIdOf(key.publicKey);
const idOf = (name: string): never => hex(secretOf(name)) as never;
const meaning = (bytes: Uint8Array): object => dumpObject(bytes, { limits, keys: testStore });

type Open = (bytes: Uint8Array, publicKey: Uint8Array) => unknown;

/** The refusals that every kind of record has. */
function refusals(kind: SignedKind, good: Uint8Array, publicKey: Uint8Array, open: Open): object[] {
  const { body, signature } = parseRecord(kind, good, 'damaged-manifest');
  const fields = decodeCbor(body, anyMap, 'damaged-manifest', 'the record');
  const signer = kind === 'receipt' ? center : key;
  const signed = (change: object) => signRecord(kind, encodeCbor({ ...fields, ...change }), signer);
  const wrongKind = kind === 'void' ? 'receipt' : 'void';
  const cases: [string, Uint8Array][] = [
    ['signed by another key', signRecord(kind, body, other)],
    ['another kind of record', signRecord(wrongKind, body, signer)],
    [
      'the signature of another kind',
      encodeCbor([`lowtide/${kind}/1`, body, signatureOf(signRecord(wrongKind, body, signer), wrongKind)]),
    ],
    ['a newer tag', encodeCbor([`lowtide/${kind}/2`, body, signature])],
    ['a newer body', signed({ format: 2, more: true })],
    ['a field too many', signed({ more: true })],
    ['a changed body', flipped(good, 30)],
    ['a changed signature', flipped(good, good.length - 1)],
    ['an end that comes too early', good.subarray(0, -1)],
    ['a byte more', Buffer.concat([good, Buffer.of(0)])],
    [
      'a body in indefinite CBOR',
      signRecord(kind, Buffer.concat([Buffer.of(0xbf), body.subarray(1), Buffer.of(0xff)]), signer),
    ],
    ['nothing', Buffer.alloc(0)],
  ];
  return cases.map(([name, bytes]) => ({
    name,
    bytes: hex(bytes),
    code: codeOf(() => open(bytes, publicKey)),
  }));
}

function signatureOf(bytes: Uint8Array, kind: SignedKind): Uint8Array {
  return parseRecord(kind, bytes, 'damaged-manifest').signature;
}

/** F40-F46. */
export function manifestVectors(): object {
  const details = {
    roots: ['home\0ann' as PathKey, '\u00ff\u0001' as PathKey],
    host: 'ann-laptop',
    software: 'lowtide 0.1.0',
    startedAt: 1_700_000_000_000,
    finishedAt: 1_700_000_060_000,
    excludes: ['*.tmp', 'node_modules/'],
    partialUntil: null,
    problems: [{ path: 'home\0ann\0x' as PathKey, code: 'source-unreadable', message: 'permission denied' }],
  };
  const first = {
    client,
    instance: instanceIdOf(key.publicKey),
    job: 'local/documents',
    sequence: 1,
    previous: null,
    base: null,
    takenAt: 1_700_000_000_000,
    refs: { id: idOf('refs'), length: 300, blocks: 5, bytes: 5000 },
    tree: { id: idOf('tree'), length: 400, entries: 7, bytes: 70_000 },
    keyring: idOf('keyring'),
    complete: true,
    counts: { files: 4, directories: 2, others: 1, bytes: 70_000, problems: 1 },
    labels: { client: 'ann-laptop', roots: ['/home/ann'] },
    sealed: sealManifestDetails(testKeys, details),
  };
  const partialUntil = { path: 'home\0ann\0film.mkv' as PathKey, offset: 2 ** 40 };
  const partial = {
    ...first,
    sequence: 2,
    previous: idOf('previous'),
    base: idOf('base'),
    complete: false,
    labels: {},
    sealed: sealManifestDetails(testKeys, {
      ...details,
      partialUntil,
      problems: [],
      roots: [],
      excludes: [],
    }),
  };
  const open: Open = (bytes, publicKey) => checkManifest(parseManifest(bytes), publicKey);
  const good = signManifest(first, key).bytes;
  return {
    rules: 'F40-F46: manifests',
    seed: hex(key.seed),
    publicKey: hex(key.publicKey),
    domainKey: hex(testKeys.domainKey),
    valid: [
      { name: 'a first snapshot', bytes: hex(good), meaning: meaning(good) },
      ...[signManifest(partial, key).bytes].map((bytes) => ({
        name: 'a partial snapshot on a base',
        bytes: hex(bytes),
        meaning: meaning(bytes),
      })),
    ],
    invalid: refusals('manifest', good, key.publicKey, open),
  };
}

/** F47. */
export function voidVectors(): object {
  const record = {
    client,
    instance: instanceIdOf(key.publicKey),
    snapshot: idOf('snapshot'),
    reason: 'the spool was lost',
    at: 1_700_000_000_000,
  };
  const good = signVoid(record, key);
  return {
    rules: 'F47: void records',
    seed: hex(key.seed),
    publicKey: hex(key.publicKey),
    valid: [{ name: 'a lost spool', bytes: hex(good), meaning: meaning(good) }],
    invalid: refusals('void', good, key.publicKey, openVoid),
  };
}

/** F48. */
export function voidCenterVectors(): object {
  const idsOf = (names: readonly string[]): string[] => names.map((name) => hex(secretOf(name)).slice(0, 32));
  const [one, two] = idsOf(['center one', 'center two']).sort() as [CenterId, CenterId];
  const record = {
    client,
    instance: instanceIdOf(key.publicKey),
    snapshot: idOf('snapshot'),
    reason: 'its base is lost there',
    at: 1_700_000_000_000,
  };
  const good = signVoid({ ...record, centers: [one, two] }, key);
  const { body } = parseRecord('void', good, 'damaged-manifest');
  const fields = decodeCbor(body, anyMap, 'damaged-manifest', 'the record');
  const naming = (centers: unknown): Uint8Array =>
    signRecord('void', encodeCbor({ ...fields, centers }), key);
  const bytes = (id: string): Buffer => Buffer.from(id, 'hex');
  const invalid: [string, Uint8Array][] = [
    ['no center', naming([])],
    ['not sorted', naming([bytes(two), bytes(one)])],
    ['one twice', naming([bytes(one), bytes(one)])],
    ['an id too short', naming([bytes(one).subarray(1)])],
    ['an id as text', naming([one])],
    ['null', naming(null)],
  ];
  return {
    rules: 'F48: void records that name centers',
    seed: hex(key.seed),
    publicKey: hex(key.publicKey),
    valid: [
      { name: 'one center', bytes: hex(naming([bytes(one)])), meaning: meaning(naming([bytes(one)])) },
      { name: 'two centers', bytes: hex(good), meaning: meaning(good) },
    ],
    invalid: [
      ...refusals('void', good, key.publicKey, openVoid),
      ...invalid.map(([name, record]) => ({
        name,
        bytes: hex(record),
        code: codeOf(() => openVoid(record, key.publicKey)),
      })),
    ],
  };
}

/** F60. */
export function receiptVectors(): object {
  const receipt = {
    kind: 'center' as const,
    snapshot: idOf('snapshot'),
    client,
    by: centerIdOf(center.publicKey),
    refs: idOf('refs'),
    blocks: 5,
    bytes: 5000,
    receivedAt: 1_700_000_100_000,
    verifiedAt: 1_700_000_100_500,
  };
  const good = signReceipt(receipt, center);
  const custody = signReceipt({ ...receipt, kind: 'custody' }, center);
  return {
    rules: 'F60: receipts',
    seed: hex(center.seed),
    publicKey: hex(center.publicKey),
    valid: [
      { name: 'of a center', bytes: hex(good), meaning: meaning(good) },
      { name: 'of a relay', bytes: hex(custody), meaning: meaning(custody) },
    ],
    invalid: refusals('receipt', good, center.publicKey, openReceipt),
  };
}
