import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { describe, it } from 'node:test';
import type { BlockId, SnapshotId } from '../model/ids.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { openReceipt, type Receipt, signReceipt } from './receipt.ts';
import {
  centerIdOf,
  clientIdOf,
  instanceIdOf,
  parseRecord,
  type SignedKind,
  signingKeyFromSeed,
  signRecord,
} from './signing.ts';
import { anyMap, hashOf, refusedAs, secretOf } from './test-support.ts';
import { openVoid, signVoid, type VoidRecord } from './void-record.ts';

const center = signingKeyFromSeed(secretOf('center'));
const instance = signingKeyFromSeed(secretOf('instance'));
const other = signingKeyFromSeed(secretOf('other'));
const idOf = (name: string) => hashOf(Buffer.from(name));

const receipt: Receipt = {
  kind: 'center',
  snapshot: idOf('snapshot') as SnapshotId,
  client: clientIdOf(instance.publicKey),
  by: centerIdOf(center.publicKey),
  refs: idOf('refs') as BlockId,
  blocks: 12,
  bytes: 34_567,
  receivedAt: 1_700_000_000_000,
  verifiedAt: 1_700_000_000_500,
};
const voidRecord: VoidRecord = {
  client: receipt.client,
  instance: instanceIdOf(instance.publicKey),
  snapshot: receipt.snapshot,
  reason: 'the spool disk was lost',
  at: 1_700_000_000_000,
};

const bodyOf = (bytes: Uint8Array, kind: SignedKind): Record<string, unknown> =>
  structuredClone(
    decodeCbor(parseRecord(kind, bytes, 'damaged-receipt').body, anyMap, 'damaged-receipt', 'the test'),
  );

describe('signed records (format F41, F42)', () => {
  it('F41: the signature covers tag, NUL and body, and holds for any Ed25519 implementation', () => {
    const bytes = signReceipt(receipt, center);
    const { body, signature, hash } = parseRecord('receipt', bytes, 'damaged-receipt');
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(center.publicKey).toString('base64url') };
    const text = Buffer.concat([Buffer.from('lowtide/receipt/1\0'), body]);
    assert.ok(verify(null, text, createPublicKey({ key: jwk, format: 'jwk' }), signature));
    assert.equal(hash, hashOf(body));
  });

  it('F42: a key is named by the first half of its hash', () => {
    assert.equal(centerIdOf(center.publicKey), hashOf(center.publicKey).slice(0, 32));
  });

  it('F41: a key made from a seed is the one of RFC 8032', () => {
    const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
    const publicKey = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';
    assert.equal(Buffer.from(signingKeyFromSeed(seed).publicKey).toString('hex'), publicKey);
  });

  it('F41: an envelope of another shape is refused', () => {
    const { body, signature } = parseRecord('receipt', signReceipt(receipt, center), 'damaged-receipt');
    for (const envelope of [
      ['lowtide/receipt/1', body],
      ['lowtide/receipt/1', body, signature, 1],
      ['lowtide/receipt/1', body, signature.subarray(1)],
      ['lowtide/receipt', body, signature],
      [1, body, signature],
      { tag: 'lowtide/receipt/1', body, signature },
    ]) {
      const read = () => parseRecord('receipt', encodeCbor(envelope), 'damaged-receipt');
      assert.throws(read, refusedAs('damaged-receipt'));
    }
  });
});

describe('receipts (format F60)', () => {
  it('F60: what was signed is read; the same words give the same bytes', () => {
    for (const kind of ['center', 'custody'] as const) {
      const bytes = signReceipt({ ...receipt, kind }, center);
      assert.deepEqual(openReceipt(bytes, center.publicKey), { ...receipt, kind });
      assert.deepEqual(signReceipt({ ...receipt, kind }, center), bytes);
    }
  });

  it('F60: another key, another kind, another center than it names: refused', () => {
    const bytes = signReceipt(receipt, center);
    assert.throws(() => openReceipt(bytes, other.publicKey), refusedAs('wrong-signature'));
    const borrowed = signReceipt(receipt, other);
    assert.throws(() => openReceipt(borrowed, other.publicKey), refusedAs('wrong-signature'));
    const asVoid = signRecord('void', parseRecord('receipt', bytes, 'damaged-receipt').body, center);
    assert.throws(() => openReceipt(asVoid, center.publicKey), refusedAs('damaged-receipt'));
  });

  it('F60: every changed byte is refused', () => {
    const bytes = signReceipt(receipt, center);
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 0x10;
      assert.throws(
        () => openReceipt(changed, center.publicKey),
        refusedAs('damaged-receipt', 'wrong-signature', 'newer-format'),
        `byte ${at}`,
      );
    }
  });

  it('F60: unknown kinds, missing and additional fields, newer formats', () => {
    const bytes = signReceipt(receipt, center);
    const forge = (change: object) =>
      signRecord('receipt', encodeCbor({ ...bodyOf(bytes, 'receipt'), ...change }), center);
    const open = (change: object) => () => openReceipt(forge(change), center.publicKey);
    assert.throws(open({ kind: 'relay' }), refusedAs('damaged-receipt'));
    assert.throws(open({ more: 1 }), refusedAs('damaged-receipt'));
    assert.throws(open({ blocks: -1 }), refusedAs('damaged-receipt'));
    assert.throws(open({ format: 7 }), refusedAs('newer-format'));
  });
});

describe('void records (format F47)', () => {
  it('F47: what was signed is read', () => {
    assert.deepEqual(openVoid(signVoid(voidRecord, instance), instance.publicKey), voidRecord);
  });

  it('F47: another key, another kind, another instance than it names: refused', () => {
    const bytes = signVoid(voidRecord, instance);
    assert.throws(() => openVoid(bytes, other.publicKey), refusedAs('wrong-signature'));
    const borrowed = signVoid(voidRecord, other);
    assert.throws(() => openVoid(borrowed, other.publicKey), refusedAs('wrong-signature'));
    const body = parseRecord('void', bytes, 'damaged-manifest').body;
    const asManifest = signRecord('manifest', body, instance);
    assert.throws(() => openVoid(asManifest, instance.publicKey), refusedAs('damaged-manifest'));
    const newer = signRecord('void', encodeCbor({ ...bodyOf(bytes, 'void'), format: 2 }), instance);
    assert.throws(() => openVoid(newer, instance.publicKey), refusedAs('newer-format'));
    const long = { ...voidRecord, reason: 'x'.repeat(1001) };
    assert.throws(
      () => openVoid(signVoid(long, instance), instance.publicKey),
      refusedAs('damaged-manifest'),
    );
  });
});
