import { createCipheriv, createHash } from 'node:crypto';

/** Numbers from 0 to below 1, the same for the same seed (splitmix-like, 32 bits: enough for test data). */
export type Draw = () => number;

export function seeded(seed: string): Draw {
  let state = createHash('sha256').update(seed).digest().readUInt32LE();
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** From `low` to `high`, both included. */
export const between = (draw: Draw, low: number, high: number): number =>
  low + Math.floor(draw() * (high - low + 1));

/** Sizes as on people's disks: most files are small, a few are not. Never above `most`. */
export function paretoSize(draw: Draw, least: number, most: number, shape = 1.2): number {
  return Math.min(most, Math.floor(least / (1 - draw()) ** (1 / shape)));
}

/** Bytes that no compressor makes smaller, as fast as AES. */
export function randomBytes(draw: Draw, length: number): Buffer {
  const key = Buffer.alloc(32);
  for (let at = 0; at < 32; at += 4) key.writeUInt32LE(Math.floor(draw() * 2 ** 32), at);
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

const WORDS = 4000;

/** Text of made-up words, common ones more often: a compressor brings it to about a third. */
export class TextMaker {
  readonly #draw: Draw;
  readonly #words: readonly Buffer[];

  constructor(draw: Draw) {
    this.#draw = draw;
    this.#words = Array.from({ length: WORDS }, () => {
      const letters = Array.from({ length: between(draw, 2, 9) }, () => between(draw, 97, 122));
      return Buffer.from([...letters, draw() < 0.1 ? 10 : 32]);
    });
  }

  make(length: number): Buffer {
    const text = Buffer.allocUnsafe(length);
    let at = 0;
    while (at < length) {
      const rare = this.#draw();
      at += this.#words[Math.floor(rare * rare * WORDS)]!.copy(text, at);
    }
    return text;
  }
}
