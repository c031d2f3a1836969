import { createCipheriv, createHash } from 'node:crypto';
import { testKeys } from '../../src/format/test-support.ts';
import { hex } from './make.ts';

/** The keystream of AES-256-CTR with key and counter zero: bytes that look random, for any implementation. */
export function keystream(length: number): Buffer {
  return createCipheriv('aes-256-ctr', Buffer.alloc(32), Buffer.alloc(16)).update(Buffer.alloc(length));
}

interface Rule {
  readonly min: number;
  readonly average: number;
  readonly max: number;
}

/** F12 and F13, word by word. */
export function cutsOf(bytes: Uint8Array, gear: Uint32Array, { min, average, max }: Rule): number[] {
  const a = Math.log2(average);
  const hashes = new Uint32Array(bytes.length + 1);
  let h = 0;
  for (let p = 1; p <= bytes.length; p++) {
    h = (Math.imul(h, 2) + gear[bytes[p - 1]!]!) >>> 0;
    hashes[p] = h;
  }
  const strict = (p: number): boolean => hashes[p]! >>> (32 - (a + 2)) === 0;
  const loose = (p: number): boolean => hashes[p]! >>> (32 - (a - 2)) === 0;
  const cuts: number[] = [];
  for (let c = 0; c < bytes.length; c = cuts.at(-1)!) {
    const end = Math.min(c + max, bytes.length);
    let cut = end;
    for (let p = c + min; p < end; p++) {
      if (p < c + average ? strict(p) : loose(p)) {
        cut = p;
        break;
      }
    }
    cuts.push(cut);
  }
  return cuts;
}

const SUITE_1 = { min: 262_144, average: 1_048_576, max: 4_194_304 };
const SMALL = { min: 1024, average: 4096, max: 16_384 };

/** F11-F13. */
export function chunkVectors(): object {
  const cases: [string, string, number, Buffer, Rule][] = [
    ['suite 1', 'keystream', 24 * 1_048_576, keystream(24 * 1_048_576), SUITE_1],
    ['suite 1 on zeros', 'zeros', 10_000_000, Buffer.alloc(10_000_000), SUITE_1],
    ['suite 1 on min bytes', 'keystream', 262_144, keystream(262_144), SUITE_1],
    ['suite 1 on one byte more than min', 'keystream', 262_145, keystream(262_145), SUITE_1],
    ['small chunks, as tests use them', 'keystream', 300_000, keystream(300_000), SMALL],
  ];
  return {
    rules: 'F11-F13: cuts of data. keystream: AES-256-CTR of zeros with key and counter zero',
    domainKey: hex(testKeys.domainKey),
    valid: cases.map(([name, data, length, bytes, rule]) => ({
      name,
      data,
      length,
      ...rule,
      cuts: cutsOf(bytes, testKeys.gear, rule),
    })),
  };
}

/** F15: lengths of new chunks in walk order to blocks. The digest of chunk N is SHA-256 of the text "chunk N". */
export function groupsOf(
  lengths: readonly number[],
  bounds: { min: number; run: number; average: number },
): number[][] {
  const blocks: number[][] = [];
  let open: number[] = [];
  let size = 0;
  const close = (): void => {
    if (open.length > 0) blocks.push(open);
    open = [];
    size = 0;
  };
  for (const [n, length] of lengths.entries()) {
    if (length >= bounds.min) {
      blocks.push([n]);
      continue;
    }
    if (size + length > bounds.run) close();
    open.push(n);
    size += length;
    const word = createHash('sha256').update(`chunk ${n}`).digest().readUInt32BE(0);
    if (word < (2 ** 32 * length) / bounds.average) close();
  }
  close();
  return blocks;
}

export function groupVectors(): object {
  const random = keystream(4 * 400);
  const lengths = Array.from({ length: 400 }, (_, n) => {
    const word = random.readUInt32BE(n * 4);
    return word % 7 === 0 ? 262_144 + (word % 100_000) : 1 + (word % 90_000);
  });
  const bounds = { min: 262_144, run: 1_048_576, average: 524_288 };
  return {
    rules: 'F15: which new chunks share a block; chunk N has the digest SHA-256 of the text "chunk N"',
    ...bounds,
    lengths,
    blocks: groupsOf(lengths, bounds),
  };
}
