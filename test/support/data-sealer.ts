import { sealBlock, type SealedBlock } from '../../src/format/block.ts';
import { chunkDigest, type DomainKeys } from '../../src/format/domain-keys.ts';
import type { DataExtent, Extent } from '../../src/model/entries.ts';
import type { ChunkDigest } from '../../src/model/ids.ts';
import type { Limits } from '../../src/model/limits.ts';

/** A file's bytes: text (a byte a character), bytes, or runs with holes between. */
export type Content = string | Uint8Array | readonly (Uint8Array | { readonly hole: number })[];

interface Run {
  readonly chunks: { readonly digest: ChunkDigest; readonly bytes: Uint8Array }[];
  length: number;
}

/**
 * Chunks of a fixed size, each stored once; small ones share blocks in the order in which they came. Not the real
 * chunker: what restores must not depend on where chunks end.
 */
export class DataSealer {
  readonly #keys: DomainKeys;
  readonly #limits: Limits;
  readonly #known = new Set<ChunkDigest>();
  readonly #runs: Run[] = [];
  #open: Run = { chunks: [], length: 0 };

  constructor(keys: DomainKeys, limits: Limits) {
    this.#keys = keys;
    this.#limits = limits;
  }

  add(content: Content): void {
    for (const part of this.#parts(content)) {
      if (!(part instanceof Uint8Array) || part.length <= this.#limits.inline_bytes_max) continue;
      const digest = chunkDigest(this.#keys, part);
      if (this.#known.has(digest)) continue;
      this.#known.add(digest);
      if (this.#open.length + part.length > this.#limits.block_plain_bytes) this.#closeRun();
      this.#open.chunks.push({ digest, bytes: part });
      this.#open.length += part.length;
    }
  }

  /** Seals everything; then the extents of any content that was added are known. */
  finish(): { readonly blocks: readonly SealedBlock[]; readonly extentsOf: (content: Content) => Extent[] } {
    this.#closeRun();
    const places = new Map<ChunkDigest, DataExtent>();
    const blocks = this.#runs.map(({ chunks }) => {
      const payload = Buffer.concat(chunks.map(({ bytes }) => bytes));
      const single = chunks.length === 1 ? { chunk: chunks[0]!.digest } : {};
      const block = sealBlock(this.#keys, payload, { type: 'data', level: 1, ...single });
      let offset = 0;
      for (const { digest, bytes } of chunks) {
        places.set(digest, { kind: 'data', block: block.id, offset, length: bytes.length, digest });
        offset += bytes.length;
      }
      return block;
    });
    const extentsOf = (content: Content): Extent[] =>
      [...this.#parts(content)].map((part) => {
        if (!(part instanceof Uint8Array)) return { kind: 'hole', length: part.hole };
        const place = places.get(chunkDigest(this.#keys, part));
        return place ?? { kind: 'inline', bytes: part };
      });
    return { blocks, extentsOf };
  }

  *#parts(content: Content): Generator<Uint8Array | { readonly hole: number }> {
    if (typeof content === 'string') yield* this.#parts(Buffer.from(content, 'latin1'));
    else if (content instanceof Uint8Array) {
      const size = this.#limits.chunk_bytes_average;
      for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
    } else for (const part of content) yield* part instanceof Uint8Array ? this.#parts(part) : [part];
  }

  #closeRun(): void {
    if (this.#open.chunks.length > 0) this.#runs.push(this.#open);
    this.#open = { chunks: [], length: 0 };
  }
}
