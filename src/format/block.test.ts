import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import type { BlockId } from '../model/ids.ts';
import { limits } from '../model/limits.ts';
import {
  blockIdOf,
  checkBlockId,
  clearBlock,
  HEADER_BYTES,
  openBlock,
  openClearBlock,
  parseBlockHeader,
  SEAL_BYTES,
  sealBlock,
  sealBlockInto,
  type SealOptions,
} from './block.ts';
import { chunkDigest, deriveDomainKeys } from './domain-keys.ts';
import { forgeBlock, zstdBomb } from './test-forgery.ts';
import { hashOf, refusedAs, secretOf, testKeys, testStore } from './test-support.ts';

const hashing = {
  sha256: async (parts: readonly Uint8Array[]) =>
    parts.map((bytes) => ({ bytes, digest: createHash('sha256').update(bytes).digest() })),
};

const MAX = limits.block_bytes_max;
const open = (bytes: Uint8Array, type: 'data' | 'tree' | 'refs' = 'data') =>
  openBlock(testStore, bytes, type, MAX);
const text = Buffer.from('the tide is low '.repeat(20));
const noise = Buffer.concat([0, 1, 2, 3].map((n) => secretOf(`noise ${n}`)));
const rawBlock = sealBlock(testKeys, noise, { type: 'data', level: 0 }).bytes;
const zstdBlock = sealBlock(testKeys, text, { type: 'data', level: 3 }).bytes;
const chunk = chunkDigest(testKeys, noise);
const chunkBlock = sealBlock(testKeys, noise, { type: 'data', level: 3, chunk }).bytes;
const treeBlock = sealBlock(testKeys, text, { type: 'tree', level: 3 }).bytes;
const refsBlock = clearBlock(testKeys.id, noise).bytes;
const blocks = { raw: rawBlock, zstd: zstdBlock, chunk: chunkBlock, tree: treeBlock, refs: refsBlock };

describe('blocks (format F1-F9)', () => {
  it('F7: a block made in memory of the caller is the same block', () => {
    const large = Buffer.concat(Array.from({ length: 20_000 }, (_, n) => secretOf(`large ${n}`)));
    for (const payload of [noise, large, Buffer.alloc(700_000, 'words ')]) {
      for (const level of [0, 3, 15]) {
        const expected = sealBlock(testKeys, payload, { type: 'data', level });
        const target = new Uint8Array(new SharedArrayBuffer(payload.length + SEAL_BYTES)).fill(0xee);
        const { id, length } = sealBlockInto(testKeys, payload, { type: 'data', level }, target);
        assert.equal(id, expected.id);
        assert.ok(Buffer.from(target.subarray(0, length)).equals(expected.bytes));
      }
    }
  });

  it('F8: what does not compress at all is stored raw at any level', () => {
    const large = Buffer.concat(Array.from({ length: 4000 }, (_, n) => secretOf(`raw ${n}`)));
    const raw = sealBlock(testKeys, large, { type: 'data', level: 0 }).id;
    for (const level of [1, 3, 15, 19])
      assert.equal(sealBlock(testKeys, large, { type: 'data', level }).id, raw, `level ${level}`);
  });

  it('F7: any payload opens again, at any level, as a chunk or not', () => {
    const payloads = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.string().map((s) => Buffer.from(s.repeat(9))),
    );
    fc.assert(
      fc.property(payloads, fc.constantFrom(0, 1, 3, 19), fc.boolean(), (payload, level, single) => {
        const options: SealOptions = {
          type: 'data',
          level,
          ...(single ? { chunk: chunkDigest(testKeys, payload) } : {}),
        };
        const block = sealBlock(testKeys, payload, options);
        assert.equal(block.id, blockIdOf(block.bytes));
        assert.deepEqual(Buffer.from(open(block.bytes)), Buffer.from(payload));
        assert.deepEqual(sealBlock(testKeys, payload, options), block);
      }),
    );
  });

  it('F10: any list of chunks in one block comes out chunk by chunk', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 }), (chunks) => {
        const { bytes } = sealBlock(testKeys, Buffer.concat(chunks), { type: 'data', level: 1 });
        const payload = open(bytes);
        let at = 0;
        for (const chunk of chunks) {
          const found = payload.subarray(at, (at += chunk.length));
          assert.equal(chunkDigest(testKeys, found), chunkDigest(testKeys, chunk));
        }
        assert.equal(at, payload.length);
      }),
    );
  });

  it('F8: a second writer made from the specification writes the same bytes', () => {
    assert.deepEqual(forgeBlock({ plainLength: noise.length, body: noise }), Buffer.from(rawBlock));
    assert.deepEqual(
      forgeBlock({ plainLength: noise.length, body: noise, codec: 2 }),
      Buffer.from(chunkBlock),
    );
    const header = parseBlockHeader(treeBlock, MAX);
    assert.equal(header.codec, 'zstd');
    const body = zstdCompressSync(text, {
      params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_contentSizeFlag]: 1 },
    });
    const made = forgeBlock({ plainLength: text.length, body, codec: 1, type: 2 });
    assert.deepEqual(made, Buffer.from(treeBlock));
  });

  it('F3: the id is the hash of the bytes, and needs no key', async () => {
    const block = { id: hashOf(rawBlock) as BlockId, bytes: rawBlock };
    assert.deepEqual(await checkBlockId(hashing, block), block);
    assert.equal(blockIdOf(rawBlock), block.id);
    const other = { id: block.id, bytes: zstdBlock };
    await assert.rejects(checkBlockId(hashing, other), refusedAs('hash-mismatch'));
  });

  it('F8: every changed bit, of header and body, is refused', () => {
    for (const [name, bytes] of Object.entries(blocks)) {
      const type = name === 'tree' || name === 'refs' ? name : 'data';
      const end = name === 'refs' ? HEADER_BYTES : bytes.length;
      for (let bit = 0; bit < end * 8; bit++) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        const clearDomain = name === 'refs' && bit >> 3 >= 8 && bit >> 3 < 24;
        if (clearDomain) continue;
        assert.throws(
          () => open(changed, type),
          refusedAs('damaged-block', 'newer-format', 'no-key'),
          `${name}, bit ${bit}`,
        );
      }
    }
  });

  it('F9: a block of any other length is refused', () => {
    for (const [name, bytes] of Object.entries(blocks)) {
      const type = name === 'tree' || name === 'refs' ? name : 'data';
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => open(bytes.subarray(0, length), type), refusedAs('damaged-block'));
      }
      const longer = Buffer.concat([bytes, Buffer.of(0)]);
      assert.throws(() => open(longer, type), refusedAs('damaged-block'));
    }
  });

  it('F2: a block is opened as its own type only, and cannot be relabelled', () => {
    assert.throws(() => open(treeBlock, 'data'), refusedAs('damaged-block'));
    assert.throws(() => open(rawBlock, 'tree'), refusedAs('damaged-block'));
    assert.throws(() => openClearBlock(rawBlock, MAX), refusedAs('damaged-block'));
    for (const type of [1, 2, 3, 4]) {
      const moved = Buffer.from(treeBlock);
      if (type === moved[6]) continue;
      moved[6] = type;
      const as = ([undefined, 'data', 'tree', 'keyring', 'refs'] as const)[type]!;
      assert.throws(() => openBlock(testStore, moved, as, MAX), refusedAs('damaged-block'));
    }
    assert.deepEqual(Buffer.from(openClearBlock(refsBlock, MAX)), noise);
  });

  it('F8: parts of two good blocks do not make a third', () => {
    const other = sealBlock(testKeys, secretOf('a'), { type: 'data', level: 0 }).bytes;
    const same = sealBlock(testKeys, secretOf('b'), { type: 'data', level: 0 }).bytes;
    assert.equal(other.length, same.length);
    for (const cut of [48, 64, 68, other.length - 16]) {
      const mixed = Buffer.concat([other.subarray(0, cut), same.subarray(cut)]);
      assert.throws(() => open(mixed), refusedAs('damaged-block'), `cut at ${cut}`);
    }
  });

  it('F7: short tags are refused', () => {
    for (const tagBytes of [0, 4, 8, 12, 13, 14, 15]) {
      const short = forgeBlock({ plainLength: noise.length, body: noise, tagBytes });
      assert.throws(() => open(short), refusedAs('damaged-block'), `a tag of ${tagBytes} bytes`);
      const honest = { plainLength: noise.length - 16 + tagBytes, body: noise.subarray(16 - tagBytes) };
      assert.throws(() => open(forgeBlock({ ...honest, tagBytes })), refusedAs('damaged-block'));
    }
  });

  it('F8: a siv that does not belong to the payload is refused even if the seal is good', () => {
    const body = { plainLength: noise.length, body: noise };
    assert.throws(() => open(forgeBlock({ ...body, siv: secretOf('x') })), refusedAs('damaged-block'));
    assert.throws(
      () => open(forgeBlock({ ...body, codec: 2, siv: secretOf('x') })),
      refusedAs('damaged-block'),
    );
  });

  it('F7: padding is read and must be zero', () => {
    const padded = forgeBlock({ plainLength: noise.length, body: noise, padding: 100 });
    assert.deepEqual(open(padded), noise);
    const paddingBytes = Buffer.alloc(100);
    paddingBytes[50] = 1;
    const dirty = forgeBlock({ plainLength: noise.length, body: noise, padding: 100, paddingBytes });
    assert.throws(() => open(dirty), refusedAs('damaged-block'));
    for (const padding of [noise.length + 1, 0xffff_ffff]) {
      const long = forgeBlock({
        plainLength: noise.length,
        body: noise,
        padding,
        paddingBytes: Buffer.alloc(0),
      });
      assert.throws(() => open(long), refusedAs('damaged-block'));
    }
  });

  it('F9: a body that decompresses to more, or to less, than announced is refused', () => {
    const body = zstdCompressSync(text);
    for (const plainLength of [0, 1, text.length - 1, text.length + 1]) {
      assert.throws(() => open(forgeBlock({ plainLength, body, codec: 1 })), refusedAs('damaged-block'));
    }
    assert.throws(
      () => open(forgeBlock({ plainLength: 9, body: noise, codec: 1 })),
      refusedAs('damaged-block'),
    );
  });

  it('F9: a bomb costs no more memory than it announces', () => {
    const bomb = forgeBlock({ plainLength: 1000, body: zstdBomb(2 ** 30), codec: 1 });
    assert.ok(bomb.length < 40_000);
    const before = process.resourceUsage().maxRSS;
    assert.throws(() => open(bomb), refusedAs('damaged-block'));
    const grownKiB = process.resourceUsage().maxRSS - before;
    assert.ok(grownKiB < 64 * 1024, `${grownKiB} KiB more`);
  });

  it('F9: a frame that asks for a window above 8 MiB is refused', () => {
    const large = forgeBlock({ plainLength: 131_072, body: zstdBomb(131_072, 27), codec: 1 });
    assert.throws(() => open(large), refusedAs('damaged-block'));
    const small = forgeBlock({ plainLength: 131_072, body: zstdBomb(131_072, 23), codec: 1 });
    assert.deepEqual(open(small), Buffer.alloc(131_072));
  });

  it('F9: lengths above the bound and fields that no writer writes are refused from the header alone', () => {
    assert.throws(() => parseBlockHeader(rawBlock, noise.length - 1), refusedAs('damaged-block'));
    const changes: [number, number][] = [
      [6, 0],
      [6, 5],
      [7, 3],
      [5, 0],
    ];
    for (const [at, value] of changes) {
      const changed = Buffer.from(rawBlock);
      changed[at] = value;
      assert.throws(() => parseBlockHeader(changed, MAX), refusedAs('damaged-block'), `byte ${at}`);
    }
    const tree = Buffer.from(treeBlock);
    tree[7] = 2;
    assert.throws(() => parseBlockHeader(tree, MAX), refusedAs('damaged-block'));
    const refs = Buffer.from(refsBlock);
    refs[40] = 1;
    assert.throws(() => parseBlockHeader(refs, MAX), refusedAs('damaged-block'));
  });

  it('F1: a newer version or suite is named as such', () => {
    for (const [at, value] of [
      [4, 2],
      [5, 2],
    ] as const) {
      const newer = Buffer.from(rawBlock);
      newer[at] = value;
      assert.throws(() => open(newer), refusedAs('newer-format'));
    }
  });

  it('F5: a block of another domain needs another key', () => {
    const other = sealBlock(deriveDomainKeys(secretOf('other')), text, { type: 'data', level: 0 });
    assert.throws(() => open(other.bytes), refusedAs('no-key'));
  });

  it('any bytes are a block or refused', () => {
    const start = fc.constantFrom(...Object.values(blocks));
    const edits = fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(start, edits, (from, edits) => {
        const bytes = Buffer.from(from);
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        try {
          open(bytes, 'data');
        } catch (error) {
          refusedAs('damaged-block', 'newer-format', 'no-key')(error);
        }
      }),
    );
  });
});

describe('no two payloads share a key and a nonce (format F8, P5)', () => {
  it('F8: one siv, one text, over near-equal payloads, codecs, levels and types', () => {
    const bySiv = new Map<string, string>();
    let seals = 0;
    for (const payload of nearEqualPayloads()) {
      for (const options of waysToSeal(payload)) {
        const { bytes } = sealBlock(testKeys, payload, options);
        const siv = Buffer.from(bytes.subarray(32, 64)).toString('hex');
        const whole = hashOf(bytes);
        const known = bySiv.get(siv);
        assert.ok(known === undefined || known === whole, 'one siv sealed two texts');
        bySiv.set(siv, whole);
        seals++;
      }
    }
    assert.equal(new Set(bySiv.values()).size, bySiv.size, 'one text has two sivs');
    assert.ok(seals > 3000 && bySiv.size > 1000 && bySiv.size < seals, `${seals} seals, ${bySiv.size} sivs`);
  });
});

function* nearEqualPayloads(): Generator<Buffer> {
  for (const base of [Buffer.alloc(96), noise, Buffer.from(text.subarray(0, 96))]) {
    for (let length = 0; length <= base.length; length += 3) yield base.subarray(0, length);
    for (let bit = 0; bit < base.length * 8; bit += 5) {
      const changed = Buffer.from(base);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      yield changed;
    }
  }
  for (const payload of [rawBlock, zstdBlock]) yield Buffer.from(payload);
}

function waysToSeal(payload: Buffer): SealOptions[] {
  const chunk = chunkDigest(testKeys, payload);
  return [
    { type: 'data', level: 0 },
    { type: 'data', level: 0, chunk },
    { type: 'data', level: 1 },
    { type: 'data', level: 3 },
    { type: 'data', level: 3, chunk },
    { type: 'tree', level: 0 },
    { type: 'tree', level: 3 },
    { type: 'keyring', level: 0 },
  ];
}
