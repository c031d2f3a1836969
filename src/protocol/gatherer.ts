import { freeAtOnce } from '../model/bytes.ts';

/**
 * Gathers chunks into one array without trusting what was announced: memory grows with what has come, and ten thousand
 * chunks of one byte cost no more than one of ten thousand.
 */
export class Gatherer {
  readonly #max: number;
  #bytes: Buffer;
  #length = 0;

  /**
   * @param max bytes that may be gathered
   * @param first memory that is there at once: no more than the sender has shown that it sends
   */
  constructor(max: number, first = FIRST_BYTES) {
    this.#max = max;
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(max, Math.max(first, FIRST_BYTES)));
  }

  get missing(): number {
    return this.#max - this.#length;
  }

  get length(): number {
    return this.#length;
  }

  /** Takes as much of the chunk as there is room for, and says how much that was. */
  push(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, this.missing);
    const needed = this.#length + taken;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(
        Math.min(this.#max, Math.max(needed, GROWTH * this.#bytes.length)),
      );
      grown.set(this.#bytes.subarray(0, this.#length));
      freeAtOnce(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(chunk.subarray(0, taken), this.#length);
    this.#length = needed;
    return taken;
  }

  /** False if there is no room for all of them. */
  pushAll(chunks: readonly Uint8Array[]): boolean {
    return chunks.every((chunk) => this.push(chunk) === chunk.length);
  }

  /** The memory is the caller's from now on. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

const FIRST_BYTES = 64 * 1024;
const GROWTH = 4;
