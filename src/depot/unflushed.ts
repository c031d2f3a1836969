import type { Limits } from '../model/limits.ts';

/**
 * How much each writer of a depot has filled its group with. The more of them fill groups, the smaller these are: a hundred streams
 * that come slowly hold no more than a few that come fast (P7).
 */
export class Unflushed {
  readonly #limits: Pick<Limits, 'flush_bytes' | 'unflushed_bytes'>;
  readonly #held = new Map<object, number>();
  /** Of all writers. */
  #total = 0;

  constructor(limits: Pick<Limits, 'flush_bytes' | 'unflushed_bytes'>) {
    this.#limits = limits;
  }

  add(writer: object, bytes: number): void {
    this.#held.set(writer, (this.#held.get(writer) ?? 0) + bytes);
    this.#total += bytes;
  }

  clear(writer: object): void {
    this.#total -= this.#held.get(writer) ?? 0;
    this.#held.delete(writer);
  }

  /** It has a whole group, or all together have more than they should and it has its share of that. */
  isEnough(writer: object): boolean {
    const { flush_bytes, unflushed_bytes } = this.#limits;
    const held = this.#held.get(writer) ?? 0;
    if (held >= flush_bytes) return true;
    return this.#total >= unflushed_bytes && held * this.#held.size >= unflushed_bytes;
  }
}
