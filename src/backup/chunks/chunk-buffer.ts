import type { PlacedChunk } from './sequencer.ts';

const DIGEST_BYTES = 32;
const FIELDS = 3;
/** What is sorted is one number a chunk: the first 32 bits of its digest, then its place: 51 bits in all. */
const PLACE_RANGE = 2 ** 19;
const FIRST_CHUNKS = 1024;

/** One chunk of a ChunkBuffer. */
export interface BufferedChunk {
  readonly digest: Uint8Array;
  /** Number of its block among those of the buffer. */
  readonly block: number;
  readonly offset: number;
  readonly length: number;
}

/** Chunks and where they are, packed: 44 bytes each, as objects they take four times as much. Half a million at most. */
export class ChunkBuffer {
  #digests = Buffer.alloc(FIRST_CHUNKS * DIGEST_BYTES);
  #fields = new Uint32Array(FIRST_CHUNKS * FIELDS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(block: number, { digest, offset, length }: PlacedChunk): void {
    if (this.#size * FIELDS === this.#fields.length) this.#grow();
    this.#digests.write(digest, this.#size * DIGEST_BYTES, 'hex');
    this.#fields.set([block, offset, length], this.#size * FIELDS);
    this.#size++;
  }

  /** In the order of their digests, as far as it makes a B-tree grow page by page; of equal ones the last comes last. */
  *sorted(): Generator<BufferedChunk> {
    const order = new Float64Array(this.#size);
    for (let at = 0; at < this.#size; at++) {
      order[at] = this.#digests.readUInt32BE(at * DIGEST_BYTES) * PLACE_RANGE + at;
    }
    order.sort();
    for (const one of order) yield this.#at(one % PLACE_RANGE);
  }

  clear(): void {
    this.#size = 0;
  }

  #at(place: number): BufferedChunk {
    const start = place * DIGEST_BYTES;
    const [block, offset, length] = this.#fields.subarray(place * FIELDS, (place + 1) * FIELDS);
    return {
      digest: this.#digests.subarray(start, start + DIGEST_BYTES),
      block: block!,
      offset: offset!,
      length: length!,
    };
  }

  #grow(): void {
    const digests = Buffer.alloc(this.#digests.length * 2);
    digests.set(this.#digests);
    this.#digests = digests;
    const fields = new Uint32Array(this.#fields.length * 2);
    fields.set(this.#fields);
    this.#fields = fields;
  }
}
