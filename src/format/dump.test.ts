import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { PathKey } from '../model/paths.ts';
import { limits } from '../model/limits.ts';
import { clearBlock, sealBlock } from './block.ts';
import { dumpObject, type PlainObject } from './dump.ts';
import { encodeRefsLeaf } from './refs.ts';
import { clientIdOf, instanceIdOf, signingKeyFromSeed } from './signing.ts';
import { hashOf, recordLists, refusedAs, secretOf, testKeys, testStore } from './test-support.ts';
import { LeafWriter } from './leaf-writer.ts';
import { signVoid } from './void-record.ts';

const dump = (bytes: Uint8Array, keys = testStore): PlainObject => dumpObject(bytes, { limits, keys });
const payload = Buffer.from('low tide');

describe('describing objects', () => {
  it('a data block is described with its header, and with keys by its payload', () => {
    const { id, bytes } = sealBlock(testKeys, payload, { type: 'data', level: 0 });
    const sealed = dumpObject(bytes, { limits });
    assert.deepEqual(
      { ...sealed, siv: null },
      {
        kind: 'block',
        id,
        length: bytes.length,
        type: 'data',
        codec: 'raw',
        domain: testKeys.id,
        plainLength: 8,
        sealedLength: 28,
        siv: null,
        payload: 'sealed',
      },
    );
    const shown = { length: 8, sha256: hashOf(payload), hex: payload.toString('hex') };
    assert.deepEqual(dump(bytes), { ...sealed, payload: shown });
  });

  it('a damaged block is described as far as it can be', () => {
    const { bytes } = sealBlock(testKeys, payload, { type: 'data', level: 0 });
    bytes[70]! ^= 1;
    const { error } = dump(bytes)['payload'] as PlainObject;
    assert.equal(error, 'damaged-block');
    assert.throws(() => dump(bytes.subarray(0, 10)), refusedAs('damaged-block'));
  });

  it('tree pages and refs pages are described record by record, and as JSON', () => {
    fc.assert(
      fc.property(recordLists(10), (records) => {
        const writer = new LeafWriter();
        for (const record of records) writer.add(record);
        const { bytes } = sealBlock(testKeys, writer.finish(), { type: 'tree', level: 0 });
        const { payload } = dump(bytes) as { payload: { records: PlainObject[] } };
        assert.equal(payload.records.length, records.length);
        assert.deepEqual(JSON.parse(JSON.stringify(payload)), payload);
      }),
    );
    const page = encodeRefsLeaf([{ id: hashOf(payload) as never, length: 92 }]);
    const refs = clearBlock(testKeys.id, page).bytes;
    const described = { kind: 'leaf', refs: [{ id: hashOf(payload), length: 92 }] };
    assert.deepEqual(dumpObject(refs, { limits })['payload'], described);
  });

  it('times, modes and names are shown for people', () => {
    const writer = new LeafWriter();
    const stat = { mode: 0o644, uid: 0, gid: 0, size: 0, mtime: -1n, ctime: 2n ** 80n, inode: 2n ** 63n };
    writer.add({
      kind: 'entry',
      entry: {
        path: 'a\0\u001b[31m' as PathKey,
        type: 'file',
        ...stat,
        unsettled: true,
        partial: false,
        extents: [],
      },
    });
    const { bytes } = sealBlock(testKeys, writer.finish(), { type: 'tree', level: 0 });
    const { records } = dump(bytes)['payload'] as { records: PlainObject[] };
    assert.deepEqual(records[0], {
      path: '/a/\\x1b[31m',
      type: 'file',
      mode: '0644',
      uid: 0,
      gid: 0,
      size: 0,
      mtime: '1969-12-31T23:59:59.999999999Z',
      ctime: `${2n ** 80n / 1_000_000_000n} s ${2n ** 80n % 1_000_000_000n} ns`,
      inode: '9223372036854775808',
      unsettled: true,
      extents: [],
    });
  });

  it('a record is described as it is, and as a depot keeps it', () => {
    const key = signingKeyFromSeed(secretOf('instance'));
    const instance = instanceIdOf(key.publicKey);
    const bytes = signVoid(
      {
        client: clientIdOf(key.publicKey),
        instance,
        snapshot: hashOf(payload) as never,
        reason: 'gone',
        at: 0,
      },
      key,
    );
    const described = dump(bytes);
    assert.equal(described['kind'], 'void');
    assert.equal(described['at'], '1970-01-01T00:00:00.000Z');
    const framed = Buffer.concat([bytes, createHash('sha256').update(bytes).digest()]);
    assert.deepEqual(dump(framed), described);
  });

  it('a pack is described block by block', () => {
    const blocks = ['a', 'b'].map((name) =>
      sealBlock(testKeys, Buffer.from(name), { type: 'data', level: 0 }),
    );
    const header = Buffer.concat([Buffer.from('LTPACK01'), Buffer.alloc(24, 7)]);
    const pack = Buffer.concat([header, ...blocks.map((block) => block.bytes)]);
    const described = dump(pack) as { blocks: PlainObject[]; end: string };
    assert.deepEqual(
      described.blocks.map((block) => block['offset']),
      [32, 32 + 85],
    );
    assert.equal(described.end, 'whole');
    assert.equal(dump(Buffer.concat([pack, Buffer.from('LTPACKTR..')]))['end'], 'trailer');
    assert.equal(dump(pack.subarray(0, -1))['end'], 'cut within the last block');
    assert.equal(dump(Buffer.concat([pack, Buffer.alloc(99)]))['end'], `damaged at byte ${pack.length}`);
  });

  it('anything else is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.throws(() => dump(bytes), refusedAs('bad-request'));
      }),
    );
  });
});
