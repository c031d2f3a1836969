import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { attributesShown } from '../scripts/golden/attributes.ts';
import { decodeAttributes, encodeAttributes } from '../src/format/attributes.ts';
import { blockIdOf, type BlockType, clearBlock, openBlock, sealBlock } from '../src/format/block.ts';
import { chunkDigest, deriveDomainKeys, KeyStore } from '../src/format/domain-keys.ts';
import { dumpObject, dumpRefsPage, dumpTreePage, type PlainObject } from '../src/format/dump.ts';
import { isDomainProof, proveDomain } from '../src/format/domain-proof.ts';
import { checkKeyring, checkSuccessor, parseKeyring, unlockKeyring } from '../src/format/keyring.ts';
import type { Secret } from '../src/format/keyring-slots.ts';
import { checkManifest, parseManifest } from '../src/format/manifest.ts';
import { openReceipt } from '../src/format/receipt.ts';
import { parseRecoverySheet, printRecoverySheet } from '../src/format/recovery-sheet.ts';
import { decodeRefsPage, encodeRefsInner, encodeRefsLeaf, RefsBuilder } from '../src/format/refs.ts';
import { openBox, sealBox } from '../src/format/siv-box.ts';
import { signingKeyFromSeed, type SignedKind, signRecord, parseRecord } from '../src/format/signing.ts';
import { hashOf, refusedAs } from '../src/format/test-support.ts';
import { PageEnds } from '../src/format/tree-builder.ts';
import { LeafWriter } from '../src/format/leaf-writer.ts';
import { decodeTreePage, encodeInnerPage } from '../src/format/tree-page.ts';
import { openVoid } from '../src/format/void-record.ts';
import type { ErrorCode } from '../src/model/errors.ts';
import type { BlockId, ClientId, DomainKeyId } from '../src/model/ids.ts';
import { limits } from '../src/model/limits.ts';
import type { PathKey } from '../src/model/paths.ts';

/** What format 1 is, byte by byte: these files are never changed (docs/format.md). */
const vectors = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`golden/${name}.json`, import.meta.url), 'utf8'));
const bytesOf = (hex: string): Buffer => Buffer.from(hex, 'hex');
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('golden vectors: keys and blocks', () => {
  it('F5, F6, F10, F12: keys, gear tables and digests', () => {
    interface Keys extends Record<'domainKey' | 'id' | 'gear', string> {
      digests: { chunk: string; digest: string }[];
      [name: string]: unknown;
    }
    for (const vector of (vectors('keys') as { valid: Keys[] }).valid) {
      const keys = deriveDomainKeys(bytesOf(vector.domainKey));
      assert.equal(keys.id, vector.id);
      for (const name of ['chunk', 'siv', 'seal', 'page', 'manifest'] as const) {
        assert.equal(hexOf(keys[name]), vector[name]);
      }
      assert.equal([...keys.gear].map((word) => word.toString(16).padStart(8, '0')).join(''), vector.gear);
      for (const { chunk, digest } of vector.digests) assert.equal(chunkDigest(keys, bytesOf(chunk)), digest);
    }
  });

  it('F50: boxes', () => {
    interface Box extends Record<'key' | 'context' | 'payload' | 'box' | 'name', string> {}
    const { valid, invalid } = vectors('boxes') as { valid: Box[]; invalid: Box[] };
    const open = ({ key, context, box }: Box) =>
      openBox(bytesOf(key), context, bytesOf(box), 'damaged-keyring', 'no');
    for (const vector of valid) {
      assert.equal(hexOf(open(vector)), vector.payload);
      const box = sealBox(bytesOf(vector.key), vector.context, bytesOf(vector.payload));
      assert.equal(hexOf(box), vector.box);
    }
    for (const vector of invalid)
      assert.throws(() => open(vector), refusedAs('damaged-keyring'), vector.name);
  });

  it('F1-F9: blocks', () => {
    interface Blocks {
      domainKey: string;
      valid: {
        name: string;
        id: string;
        bytes: string;
        meaning: object;
        write: { type: 'data' | 'tree'; level: number; chunk: boolean; payload: string } | null;
      }[];
      invalid: { name: string; type: BlockType; bytes: string; code: ErrorCode }[];
    }
    const { domainKey, valid, invalid } = vectors('blocks') as Blocks;
    const keys = deriveDomainKeys(bytesOf(domainKey));
    const store = new KeyStore([keys]);
    for (const { name, id, bytes, meaning, write } of valid) {
      assert.equal(blockIdOf(bytesOf(bytes)), id);
      assert.deepEqual(dumpObject(bytesOf(bytes), { limits, keys: store, bytesShown: 1000 }), meaning, name);
      if (write === null) continue;
      const payload = bytesOf(write.payload);
      const { type, level } = write;
      const chunk = write.chunk ? { chunk: chunkDigest(keys, payload) } : {};
      assert.equal(hexOf(sealBlock(keys, payload, { type, level, ...chunk }).bytes), bytes, name);
    }
    for (const { name, type, bytes, code } of invalid) {
      const open = () => openBlock(store, bytesOf(bytes), type, limits.block_bytes_max);
      assert.throws(open, refusedAs(code), name);
    }
  });
});

interface PageVectors {
  valid: { name: string; payload: string; meaning: object }[];
  invalid: { name: string; payload: string; code: ErrorCode }[];
}

describe('golden vectors: pages', () => {
  it('F20-F27: tree pages', () => {
    const { valid, invalid } = vectors('tree-pages') as PageVectors;
    for (const { name, payload, meaning } of valid) {
      assert.deepEqual(dumpTreePage(bytesOf(payload), 1000), meaning, name);
      const page = decodeTreePage(bytesOf(payload));
      const writer = new LeafWriter();
      if (page.kind === 'leaf') for (const record of page.records) writer.add(record);
      const again = page.kind === 'leaf' ? writer.finish() : encodeInnerPage(page.level, page.children);
      assert.equal(hexOf(again), payload, name);
    }
    for (const { name, payload, code } of invalid)
      assert.throws(() => decodeTreePage(bytesOf(payload)), refusedAs(code), name);
  });

  it('F22: ends of tree pages', () => {
    interface Ends {
      domainKey: string;
      count: number;
      levels: { level: number; ending: number[] }[];
    }
    const { domainKey, count, levels } = vectors('tree-ends') as Ends;
    const ends = new PageEnds(deriveDomainKeys(bytesOf(domainKey)), limits);
    for (const { level, ending } of levels) {
      const found: number[] = [];
      for (let n = 0; n < count; n++) {
        const key = { path: `home\0file ${n}` as PathKey, offset: n % 3 === 0 ? n * 2 ** 33 : 0 };
        if (ends.endsAfter(level, key)) found.push(n);
      }
      assert.deepEqual(found, ending);
    }
  });

  it('F27: attributes of entries', () => {
    interface AttributeVectors {
      written: readonly { name: string; extra: string; meaning: object }[];
      read: AttributeVectors['written'];
      invalid: Readonly<Record<string, string>>;
    }
    const { written, read, invalid } = vectors('attributes') as AttributeVectors;
    for (const { name, extra, meaning } of [...written, ...read])
      assert.deepEqual(attributesShown(decodeAttributes(bytesOf(extra))), meaning, name);
    for (const { name, extra } of written)
      assert.equal(hexOf(encodeAttributes(decodeAttributes(bytesOf(extra)))), extra, name);
    for (const [name, extra] of Object.entries(invalid))
      assert.throws(() => decodeAttributes(bytesOf(extra)), refusedAs('damaged-page'), name);
  });

  it('F30-F32: refs pages, and the pages of a long list', async () => {
    interface Built {
      built: { domain: string; count: number; root: object; pages: number };
    }
    const { valid, invalid, built } = vectors('refs') as PageVectors & Built;
    for (const { name, payload, meaning } of valid) {
      assert.deepEqual(dumpRefsPage(bytesOf(payload)), meaning, name);
      const page = decodeRefsPage(bytesOf(payload));
      const again =
        page.kind === 'leaf' ? encodeRefsLeaf(page.refs) : encodeRefsInner(page.level, page.children);
      assert.equal(hexOf(again), payload, name);
    }
    for (const { name, payload, code } of invalid)
      assert.throws(() => decodeRefsPage(bytesOf(payload)), refusedAs(code), name);
    let pages = 0;
    const builder = new RefsBuilder(limits, (payload) => {
      const { id, bytes } = clearBlock(built.domain as never, payload);
      pages++;
      return Promise.resolve({ id, length: bytes.length });
    });
    for (let n = 0; n < built.count; n++) {
      await builder.add({ id: hashOf(Buffer.from(`block ${n}`)) as BlockId, length: 100 + (n % 1000) });
    }
    assert.deepEqual(await builder.finish(), built.root);
    assert.equal(pages, built.pages);
  });
});

interface RecordVectors {
  seed: string;
  publicKey: string;
  domainKey?: string;
  valid: { name: string; bytes: string; meaning: object }[];
  invalid: { name: string; bytes: string; code: ErrorCode }[];
}

describe('golden vectors: signed records', () => {
  const readers: Record<string, [SignedKind, (bytes: Uint8Array, publicKey: Uint8Array) => unknown]> = {
    manifests: ['manifest', (bytes, publicKey) => checkManifest(parseManifest(bytes), publicKey)],
    voids: ['void', openVoid],
    'void-centers': ['void', openVoid],
    receipts: ['receipt', openReceipt],
  };
  for (const [name, [kind, open]] of Object.entries(readers)) {
    it(`F40-F48, F60: ${name}`, () => {
      const { seed, publicKey, domainKey, valid, invalid } = vectors(name) as RecordVectors;
      const key = signingKeyFromSeed(bytesOf(seed));
      assert.equal(hexOf(key.publicKey), publicKey);
      const keys =
        domainKey === undefined ? {} : { keys: new KeyStore([deriveDomainKeys(bytesOf(domainKey))]) };
      for (const vector of valid) {
        const bytes = bytesOf(vector.bytes);
        open(bytes, key.publicKey);
        assert.deepEqual(dumpObject(bytes, { limits, ...keys }), vector.meaning, vector.name);
        const { body } = parseRecord(kind, bytes, 'damaged-manifest');
        assert.equal(hexOf(signRecord(kind, body, key)), vector.bytes);
      }
      for (const { name, bytes, code } of invalid)
        assert.throws(() => open(bytesOf(bytes), key.publicKey), refusedAs(code), name);
    });
  }
});

interface Unlock {
  kind: 'device' | 'recovery' | 'passphrase' | 'organisation';
  secret?: string;
  passphrase?: string;
  privateKey?: string;
  code?: ErrorCode;
  ringKey: string;
  domainKeys: string[];
  signingSeed: string | null;
}

interface KeyringVectors {
  valid: { name: string; bytes: string; meaning: PlainObject; unlock: Unlock[] }[];
  invalid: { name: string; bytes: string; code: ErrorCode }[];
  successors: { previous: string; next: string; code: ErrorCode | null }[];
}

function secretOf({ kind, secret, passphrase, privateKey }: Unlock): Secret {
  if (kind === 'passphrase') return { kind, passphrase: passphrase! };
  if (kind === 'organisation') return { kind, privateKey: bytesOf(privateKey!) };
  return { kind, secret: bytesOf(secret!) };
}

describe('golden vectors: keyrings', () => {
  const { valid, invalid, successors } = vectors('keyrings') as KeyringVectors;
  const rings = new Map(valid.map(({ name, bytes }) => [name, parseKeyring(bytesOf(bytes))]));

  it('F70-F78: keyrings, and what opens them', () => {
    for (const { name, bytes, meaning, unlock } of valid) {
      assert.deepEqual(dumpObject(bytesOf(bytes), { limits }), meaning, name);
      for (const expected of unlock) {
        const open = () => unlockKeyring(rings.get(name)!, secretOf(expected), limits);
        if (expected.code !== undefined) {
          assert.throws(open, refusedAs(expected.code));
          continue;
        }
        const { ringKey, keys, signingKey } = open();
        assert.equal(hexOf(ringKey), expected.ringKey);
        assert.deepEqual(
          keys.epochs.map((epoch) => hexOf(epoch.domainKey)),
          expected.domainKeys,
        );
        assert.equal(signingKey && hexOf(signingKey.seed), expected.signingSeed);
      }
    }
  });

  it('F74: successors', () => {
    for (const { previous, next, code } of successors) {
      const check = () => checkSuccessor(rings.get(previous)!, rings.get(next)!);
      if (code === null) check();
      else assert.throws(check, refusedAs(code), `${previous} to ${next}`);
    }
  });

  it('F70-F78: what is refused', () => {
    const device = valid[0]!.unlock.find(({ kind }) => kind === 'device')!;
    for (const { name, bytes, code } of invalid) {
      const read = () => {
        const signed = parseKeyring(bytesOf(bytes));
        checkKeyring(signed);
        unlockKeyring(signed, secretOf(device), limits);
        unlockKeyring(signed, { kind: 'passphrase', passphrase: 'x' }, limits);
      };
      assert.throws(read, refusedAs(code), name);
    }
  });

  it('F69: proofs that a client knows the key of a domain', () => {
    interface Proof extends Record<'client' | 'key' | 'signature', string> {}
    const { domainKey, domain, ...proofs } = vectors('domain-proofs') as {
      domainKey: string;
      domain: DomainKeyId;
      valid: (Proof & { keyring: string; meaning: PlainObject })[];
      invalid: (Proof & { name: string })[];
    };
    const counts = ({ key, signature, client }: Proof): boolean =>
      isDomainProof({ key: bytesOf(key), signature: bytesOf(signature) }, client as ClientId, domain);
    for (const proof of proofs.valid) {
      const made = proveDomain(deriveDomainKeys(bytesOf(domainKey)), proof.client as ClientId);
      assert.deepEqual([hexOf(made.key), hexOf(made.signature)], [proof.key, proof.signature]);
      assert.ok(counts(proof));
      assert.deepEqual(dumpObject(bytesOf(proof.keyring), { limits }), proof.meaning);
      assert.equal(parseKeyring(bytesOf(proof.keyring)).keyring.proofs!.length, 1);
    }
    for (const proof of proofs.invalid) assert.equal(counts(proof), false, proof.name);
  });

  it('F80: recovery sheets', () => {
    interface Sheets {
      valid: { client: string; secret: string; center: string | null; text: string }[];
      invalid: { name: string; text: string; code: ErrorCode; message: string }[];
    }
    const { valid, invalid } = vectors('recovery-sheets') as Sheets;
    const codeLines = (text: string): string[] => text.match(/^ {2}[CKH]\d {2}.*$/gm) ?? [];
    for (const { client, secret, center, text } of valid) {
      const sheet = parseRecoverySheet(text);
      assert.deepEqual(
        [sheet.client, hexOf(sheet.secret), sheet.center && hexOf(sheet.center)],
        [client, secret, center],
      );
      const printed = printRecoverySheet({ ...sheet, client: client as ClientId });
      assert.deepEqual(codeLines(printed), codeLines(text));
    }
    for (const { name, text, code, message } of invalid) {
      const linesIn = (message: string) => message.match(/[CKH]\d/g);
      assert.throws(
        () => parseRecoverySheet(text),
        (error: unknown) => {
          refusedAs(code)(error);
          assert.deepEqual(linesIn((error as Error).message), linesIn(message), name);
          return true;
        },
      );
    }
  });
});
