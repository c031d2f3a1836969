import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BlockId, KeyringHash, SnapshotId } from '../model/ids.ts';
import type { PathKey } from '../model/paths.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { deriveDomainKeys, KeyStore } from './domain-keys.ts';
import {
  checkManifest,
  JOB_NAME,
  type Manifest,
  type ManifestDetails,
  openManifestDetails,
  parseManifest,
  sealManifestDetails,
  signManifest,
} from './manifest.ts';
import { clientIdOf, instanceIdOf, parseRecord, signingKeyFromSeed, signRecord } from './signing.ts';
import { anyMap, hashOf, refusedAs, secretOf, testKeys, testStore } from './test-support.ts';

const key = signingKeyFromSeed(secretOf('instance'));
const idOf = (name: string) => hashOf(Buffer.from(name));

const details: ManifestDetails = {
  roots: ['home\0ann' as PathKey, 'home\0b\u00ff\u0001b' as PathKey],
  host: 'ann-laptop',
  software: 'lowtide 0.1.0',
  startedAt: 1_700_000_000_000,
  finishedAt: 1_700_000_060_000,
  excludes: ['*.tmp', 'node_modules/'],
  partialUntil: { path: 'home\0ann\0film.mkv' as PathKey, offset: 2 ** 40 },
  problems: [{ path: 'home\0ann\0x' as PathKey, code: 'source-unreadable', message: 'permission denied' }],
};

const manifest: Manifest = {
  client: clientIdOf(key.publicKey),
  instance: instanceIdOf(key.publicKey),
  job: 'local/documents',
  sequence: 2,
  previous: idOf('previous') as SnapshotId,
  base: null,
  takenAt: 1_700_000_000_000,
  refs: { id: idOf('refs') as BlockId, length: 300, blocks: 5, bytes: 5000 },
  tree: { id: idOf('tree') as BlockId, length: 400, entries: 7, bytes: 70_000 },
  keyring: idOf('keyring') as KeyringHash,
  complete: true,
  counts: { files: 4, directories: 2, others: 1, bytes: 70_000, problems: 1 },
  labels: { client: "Ann's laptop", roots: ['/home/ann'] },
  sealed: sealManifestDetails(testKeys, details),
};
const signed = signManifest(manifest, key);

/** The same manifest with its body changed and signed anew. */
function forge(change: (body: Record<string, unknown>) => void, by = key): Uint8Array {
  const body = structuredClone(decodeCbor(signed.record.body, anyMap, 'damaged-manifest', 'the test'));
  change(body);
  return signRecord('manifest', encodeCbor(body), by);
}

describe('manifests (format F40-F46)', () => {
  it('F40: what was signed is read, and the id is the hash of the body alone', () => {
    const read = parseManifest(signed.bytes);
    checkManifest(read, key.publicKey);
    assert.deepEqual(read.manifest, manifest);
    assert.equal(read.id, hashOf(read.record.body));
    assert.deepEqual(signManifest(manifest, key), signed);
  });

  it('F43: first snapshots, bases and missing labels are read as written', () => {
    const first: Manifest = {
      ...manifest,
      sequence: 1,
      previous: null,
      base: idOf('base') as SnapshotId,
      complete: false,
      labels: {},
    };
    assert.deepEqual(parseManifest(signManifest(first, key).bytes).manifest, first);
  });

  it('F41: another key, another kind, a changed byte: refused', () => {
    const other = signingKeyFromSeed(secretOf('other'));
    assert.throws(() => checkManifest(signed, other.publicKey), refusedAs('wrong-signature'));
    const byOther = parseManifest(signRecord('manifest', signed.record.body, other));
    assert.throws(() => checkManifest(byOther, key.publicKey), refusedAs('wrong-signature'));
    assert.throws(() => checkManifest(byOther, other.publicKey), refusedAs('wrong-signature'));
    for (const kind of ['void', 'keyring', 'receipt', 'policy'] as const) {
      assert.throws(
        () => parseManifest(signRecord(kind, signed.record.body, key)),
        refusedAs('damaged-manifest'),
      );
    }
    const relabelled = encodeCbor(['lowtide/manifest/1', signed.record.body, forgeSignature()]);
    assert.throws(
      () => checkManifest(parseManifest(relabelled), key.publicKey),
      refusedAs('wrong-signature'),
    );
    for (let at = 0; at < signed.bytes.length; at++) {
      const changed = Buffer.from(signed.bytes);
      changed[at]! ^= 0x04;
      assert.throws(
        () => checkManifest(parseManifest(changed), key.publicKey),
        refusedAs('damaged-manifest', 'wrong-signature', 'newer-format'),
        `byte ${at}`,
      );
    }
  });

  it('F2: a newer format is named as such, in the tag or in the body', () => {
    const tagged = encodeCbor(['lowtide/manifest/2', signed.record.body, signed.record.signature]);
    assert.throws(() => parseManifest(tagged), refusedAs('newer-format'));
    assert.throws(() => parseManifest(forge((body) => (body['format'] = 2))), refusedAs('newer-format'));
  });

  it('F40: fields that are missing, too many or of another shape are refused', () => {
    const changes: ((body: Record<string, unknown>) => void)[] = [
      (body) => delete body['client'],
      (body) => delete body['complete'],
      (body) => (body['more'] = 1),
      (body) => (body['format'] = 0),
      (body) => (body['sequence'] = 0),
      (body) => (body['sequence'] = '1'),
      (body) => (body['previous'] = Buffer.alloc(31)),
      (body) => (body['instance'] = Buffer.alloc(17)),
      (body) => (body['refs'] = { id: Buffer.alloc(32), length: 1 }),
      (body) => (body['labels'] = { host: 'x' }),
      (body) => (body['labels'] = { client: 'x'.repeat(201) }),
      (body) => (body['takenAt'] = -1),
      (body) => (body['job'] = 'Local/documents'),
    ];
    for (const change of changes) {
      assert.throws(() => parseManifest(forge(change)), refusedAs('damaged-manifest'), change.toString());
    }
  });

  it('F44: no job name can climb out of a directory', () => {
    for (const good of ['a', 'local/documents', 'policy/x', '0', 'a.b-c_d', 'a/b/c', 'x'.repeat(100)]) {
      assert.match(good, JOB_NAME);
    }
    const bad = [
      '',
      '/',
      'a/',
      '/a',
      'a//b',
      '..',
      'a/..',
      'a/../b',
      './a',
      'a/.b',
      'A',
      'a b',
      'a\n',
      'x'.repeat(101),
    ];
    for (const name of bad) assert.doesNotMatch(name, JOB_NAME);
  });

  it('F46: the sealed half opens with the domain key only, and as written', () => {
    assert.deepEqual(openManifestDetails(testStore, signed.manifest), details);
    const other = new KeyStore([deriveDomainKeys(secretOf('other'))]);
    assert.throws(() => openManifestDetails(other, signed.manifest), refusedAs('no-key'));
    for (let at = 16; at < manifest.sealed.length; at += 5) {
      const sealed = Buffer.from(manifest.sealed);
      sealed[at]! ^= 1;
      assert.throws(
        () => openManifestDetails(testStore, { ...manifest, sealed }),
        refusedAs('damaged-manifest'),
      );
    }
    const short = { ...manifest, sealed: new Uint8Array(3) };
    assert.throws(() => openManifestDetails(testStore, short), refusedAs('damaged-manifest'));
    const empty: ManifestDetails = { ...details, partialUntil: null, roots: [], problems: [], excludes: [] };
    const sealed = sealManifestDetails(testKeys, empty);
    assert.deepEqual(openManifestDetails(testStore, { ...manifest, sealed }), empty);
  });

  it('F40: a manifest above 64 KiB is refused, when read and when signed', () => {
    assert.throws(() => parseManifest(new Uint8Array(65_537)), refusedAs('too-large'));
    const large = { ...manifest, sealed: new Uint8Array(65_500) };
    assert.throws(() => signManifest(large, key), refusedAs('too-large'));
  });
});

/** A good signature of the same bytes as another kind of record. */
function forgeSignature(): Uint8Array {
  const bytes = signRecord('void', signed.record.body, key);
  return parseRecord('void', bytes, 'damaged-manifest').signature;
}
