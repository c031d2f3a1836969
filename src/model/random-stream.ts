import { createHash } from 'node:crypto';

/**
 * A stream of pseudo-random numbers (xoshiro128**), named by a seed and a path of names. Streams of different names
 * are independent, so that one purpose drawing more numbers never changes what another one gets.
 */
export class RandomStream {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: string | number, ...names: readonly (string | number)[]) {
    const digest = createHash('sha256')
      .update(JSON.stringify([String(seed), ...names]))
      .digest();
    this.#a = digest.readInt32LE(0);
    this.#b = digest.readInt32LE(4);
    this.#c = digest.readInt32LE(8);
    this.#d = digest.readInt32LE(12) | 1;
  }

  /** An integer from 0 to 2^32 - 1. */
  next(): number {
    const result = Math.imul(rotate(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotate(this.#d, 11);
    return result;
  }

  /** From 0 (inclusive) to 1 (exclusive). */
  fraction(): number {
    return this.next() / 2 ** 32;
  }

  /** An integer from 0 to `bound` - 1. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new TypeError('nothing to pick from');
    return choices[this.below(choices.length)] as T;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let word = 0;
    for (let at = 0; at < length; at++) {
      word = at % 4 === 0 ? this.next() : word >>> 8;
      bytes[at] = word & 0xff;
    }
    return bytes;
  }
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
