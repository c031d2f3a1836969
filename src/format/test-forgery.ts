import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';
import { testKeys } from './test-support.ts';

/** What a writer that follows no rule may write. */
export interface Forgery {
  type?: number;
  codec?: number;
  suite?: number;
  plainLength: number;
  body: Uint8Array;
  padding?: number;
  paddingBytes?: Uint8Array;
  tagBytes?: number;
  siv?: Uint8Array;
}

/** A second writer, straight from docs/format.md, that can also write what no honest one writes. */
export function forgeBlock(of: Forgery): Buffer {
  const { type = 1, codec = 0, suite = 1, padding = 0, tagBytes = 16, body } = of;
  const paddingBytes = of.paddingBytes ?? Buffer.alloc(padding);
  const head = Buffer.alloc(32);
  head.write('LTB1', 0, 'latin1');
  head.set([1, suite, type, codec], 4);
  head.set(testKeys.idBytes, 8);
  head.writeUInt32BE(of.plainLength, 24);
  head.writeUInt32BE(4 + body.length + paddingBytes.length + tagBytes, 28);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(padding);
  const covered = codec === 2 ? createHmac('sha256', testKeys.chunk).update(body).digest() : body;
  const siv =
    of.siv ?? createHmac('sha256', testKeys.siv).update(head).update(length).update(covered).digest();
  const key = Buffer.from(hkdfSync('sha256', testKeys.seal, siv, 'lowtide/1/block', 32));
  const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
  cipher.setAAD(Buffer.concat([head, siv]));
  const sealed = cipher.update(Buffer.concat([length, body, paddingBytes]));
  cipher.final();
  return Buffer.concat([head, siv, sealed, cipher.getAuthTag().subarray(0, tagBytes)]);
}

/** A zstd frame of run-length blocks: four bytes for each 128 KiB of zeros (RFC 8878). */
export function zstdBomb(length: number, windowLog = 20): Buffer {
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (windowLog - 10) << 3]);
  const count = length / 131_072;
  const blocks = Buffer.alloc(count * 4);
  for (let at = 0; at < count; at++) {
    blocks.writeUIntLE((at === count - 1 ? 1 : 0) | (1 << 1) | (131_072 << 3), at * 4, 3);
  }
  return Buffer.concat([head, blocks]);
}
