import { equalBytes } from '../model/bytes.ts';

/** Records that were parsed last: to parse one costs more than to read it, and the same few are read again and again. */
export class Parsed<Signed extends { readonly bytes: Uint8Array }> {
  readonly #parse: (bytes: Uint8Array) => Signed;
  readonly #most: number;
  /** By name, the least recently parsed first. */
  readonly #known = new Map<string, Signed>();

  constructor(parse: (bytes: Uint8Array) => Signed, most: number) {
    this.#parse = parse;
    this.#most = most;
  }

  /** What these bytes, which were read just now, say. Throws what `parse` throws. */
  of(name: string, bytes: Uint8Array): Signed {
    const known = this.#known.get(name);
    if (known !== undefined && equalBytes(known.bytes, bytes)) return known;
    const parsed = this.#parse(bytes);
    this.#known.delete(name);
    this.#known.set(name, parsed);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= this.#most) break;
      this.#known.delete(oldest);
    }
    return parsed;
  }
}
