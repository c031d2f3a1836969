import { blockIdOf, clearBlock, openBlock, sealBlock, type BlockType } from '../../src/format/block.ts';
import { chunkDigest, deriveDomainKeys, type DomainKeys } from '../../src/format/domain-keys.ts';
import { dumpObject } from '../../src/format/dump.ts';
import { encodeRefsLeaf } from '../../src/format/refs.ts';
import { sealBox } from '../../src/format/siv-box.ts';
import { forgeBlock, zstdBomb } from '../../src/format/test-forgery.ts';
import { testKeys, testStore } from '../../src/format/test-support.ts';
import { LeafWriter } from '../../src/format/leaf-writer.ts';
import { limits } from '../../src/model/limits.ts';
import { codeOf, flipped, hex, secretOf } from './make.ts';
import { exampleRecords } from './pages.ts';

const NAMED = ['chunk', 'siv', 'seal', 'page', 'manifest'] as const;

/** F5, F6, F10, F12. */
export function keyVectors(): object {
  const valid = ['one', 'two'].map((name) => {
    const domainKey = secretOf(`domain ${name}`);
    const keys = deriveDomainKeys(domainKey);
    return {
      domainKey: hex(domainKey),
      id: keys.id,
      ...Object.fromEntries(NAMED.map((key) => [key, hex(keys[key])])),
      gear: [...keys.gear].map((word) => word.toString(16).padStart(8, '0')).join(''),
      digests: ['', 'low tide', 'x'.repeat(1000)].map((text) => ({
        chunk: hex(Buffer.from(text)),
        digest: chunkDigest(keys, Buffer.from(text)),
      })),
    };
  });
  return { rules: 'F5, F6, F10, F12: keys derived from a domain key, and digests of chunks', valid };
}

/** F50. */
export function boxVectors(): object {
  const cases: [string, string, Uint8Array][] = [
    ['an empty payload', 'lowtide/slot/1', Buffer.alloc(0)],
    ['a ring key', 'lowtide/slot/1', secretOf('ring')],
    ['the same in another context', 'lowtide/keyring/1', secretOf('ring')],
    ['a longer payload', 'lowtide/manifest-details/1', Buffer.alloc(100, 7)],
  ];
  const key = secretOf('box');
  const valid = cases.map(([name, context, payload]) => ({
    name,
    key: hex(key),
    context,
    payload: hex(payload),
    box: hex(sealBox(key, context, payload)),
  }));
  const [, , payload] = cases[1]!;
  const box = sealBox(key, 'lowtide/slot/1', payload);
  const bad: [string, Uint8Array, string][] = [
    ['a changed siv', flipped(box, 0), 'lowtide/slot/1'],
    ['a changed text', flipped(box, 40), 'lowtide/slot/1'],
    ['a changed tag', flipped(box, box.length - 1), 'lowtide/slot/1'],
    ['another context', box, 'lowtide/slot/2'],
    ['a tag of 12 bytes', box.subarray(0, -4), 'lowtide/slot/1'],
    ['nothing', Buffer.alloc(0), 'lowtide/slot/1'],
  ];
  const invalid = bad.map(([name, bytes, context]) => ({ name, key: hex(key), context, box: hex(bytes) }));
  return { rules: 'F50: sealed boxes', valid, invalid };
}

interface Sample {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** How a writer makes the very same bytes; null where that hangs on the zstd library. */
  readonly write: { type: string; level: number; chunk: boolean; payload: string } | null;
}

function sealed(
  name: string,
  payload: Uint8Array,
  type: 'data' | 'tree',
  level: number,
  chunk = false,
  keys: DomainKeys = testKeys,
): Sample {
  const digest = chunk ? { chunk: chunkDigest(keys, payload) } : {};
  const { bytes } = sealBlock(keys, payload, { type, level, ...digest });
  const raw = bytes[7] !== 1;
  return { name, bytes, write: raw ? { type, level, chunk, payload: hex(payload) } : null };
}

const noise = Buffer.concat([1, 2, 3].map((n) => secretOf(`noise ${n}`)));
const text = Buffer.from('the tide is low, the line is free. '.repeat(12));

function samples(): Sample[] {
  const leaf = new LeafWriter();
  for (const record of exampleRecords()) leaf.add(record);
  const refs = encodeRefsLeaf([{ id: blockIdOf(noise), length: 180 }]);
  return [
    sealed('raw data', noise, 'data', 0),
    sealed('data that zstd does not make smaller', noise, 'data', 3),
    sealed('one chunk', noise, 'data', 3, true),
    sealed('no bytes', Buffer.alloc(0), 'data', 0),
    sealed('zstd data', text, 'data', 3),
    sealed('a chunk that zstd makes smaller', text, 'data', 3, true),
    sealed('a page of a tree, raw', leaf.finish(), 'tree', 0),
    { name: 'a page of refs', bytes: clearBlock(testKeys.id, refs).bytes, write: null },
    {
      name: 'data with padding',
      bytes: forgeBlock({ plainLength: noise.length, body: noise, padding: 33 }),
      write: null,
    },
  ];
}

/** F1-F9. */
export function blockVectors(): object {
  const options = { limits, keys: testStore, bytesShown: 1000 };
  const valid = samples().map(({ name, bytes, write }) => ({
    name,
    id: blockIdOf(bytes),
    bytes: hex(bytes),
    meaning: dumpObject(bytes, options),
    write,
  }));
  const invalid = badBlocks().map(([name, type, bytes]) => ({
    name,
    type,
    bytes: hex(bytes),
    code: codeOf(() => openBlock(testStore, bytes, type, limits.block_bytes_max)),
  }));
  return {
    rules: 'F1-F9: blocks. A zstd body depends on the library: those blocks are to be read, not to be made',
    domainKey: hex(testKeys.domainKey),
    valid,
    invalid,
  };
}

function badBlocks(): [string, BlockType, Uint8Array][] {
  const [raw, , chunk, , zstd] = samples().map((sample) => sample.bytes);
  const body = { plainLength: noise.length, body: noise };
  const header = (bytes: Uint8Array, at: number, value: number): Buffer => {
    const changed = Buffer.from(bytes);
    changed[at] = value;
    return changed;
  };
  const dirty = Buffer.alloc(33, 1);
  const refs = clearBlock(testKeys.id, encodeRefsLeaf([])).bytes;
  return [
    ['nothing', 'data', Buffer.alloc(0)],
    ['another magic', 'data', header(raw!, 0, 0x4d)],
    ['version 2', 'data', header(raw!, 4, 2)],
    ['suite 2', 'data', header(raw!, 5, 2)],
    ['data in the clear suite', 'data', header(raw!, 5, 0)],
    ['an unknown type', 'data', header(raw!, 6, 5)],
    ['another type', 'tree', header(raw!, 6, 2)],
    ['data where a tree must be', 'tree', raw!],
    ['an unknown codec', 'data', header(raw!, 7, 3)],
    ['another codec', 'data', header(raw!, 7, 2)],
    ['another domain', 'data', header(raw!, 8, raw![8]! ^ 1)],
    ['another plain length', 'data', header(raw!, 27, raw![27]! ^ 1)],
    ['a plain length above 8 MiB', 'data', header(raw!, 24, 1)],
    ['a changed siv', 'data', flipped(raw!, 40)],
    ['a changed body', 'data', flipped(raw!, 80)],
    ['a changed chunk', 'data', flipped(chunk!, 80)],
    ['a changed zstd body', 'data', flipped(zstd!, 80)],
    ['a changed tag', 'data', flipped(raw!, raw!.length - 1)],
    ['a block that ends too early', 'data', raw!.subarray(0, -1)],
    ['a block with a byte more', 'data', Buffer.concat([raw!, Buffer.of(0)])],
    ['a tag of 12 bytes', 'data', forgeBlock({ ...body, tagBytes: 12 })],
    ['padding that is not zero', 'data', forgeBlock({ ...body, padding: 33, paddingBytes: dirty })],
    ['more padding than there is', 'data', forgeBlock({ ...body, padding: 9999, paddingBytes: dirty })],
    ['a good seal under a siv of something else', 'data', forgeBlock({ ...body, siv: secretOf('siv') })],
    ['a plain length that is too small', 'data', forgeBlock({ plainLength: 95, body: noise })],
    ['no zstd frame', 'data', forgeBlock({ ...body, codec: 1 })],
    ['a zstd bomb', 'data', forgeBlock({ plainLength: 1000, body: zstdBomb(2 ** 24), codec: 1 })],
    [
      'a zstd window of 128 MiB',
      'data',
      forgeBlock({ plainLength: 131_072, body: zstdBomb(131_072, 27), codec: 1 }),
    ],
    ['refs with a siv', 'refs', header(refs, 50, 1)],
    ['refs in the sealed suite', 'refs', header(refs, 5, 1)],
  ];
}
