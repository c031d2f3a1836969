import type { BlockId } from '../model/ids.ts';

/** The last used of what was opened, up to a number of bytes. */
export class PayloadCache<T> {
  readonly #bytesMax: number;
  readonly #lengthOf: (item: T) => number;
  readonly #items = new Map<BlockId, T>();
  #bytes = 0;

  constructor(bytesMax: number, lengthOf: (item: T) => number) {
    this.#bytesMax = bytesMax;
    this.#lengthOf = lengthOf;
  }

  get(id: BlockId): T | undefined {
    const item = this.#items.get(id);
    if (item === undefined) return undefined;
    this.#items.delete(id);
    this.#items.set(id, item);
    return item;
  }

  /** Without making it the last used. */
  has(id: BlockId): boolean {
    return this.#items.has(id);
  }

  set(id: BlockId, item: T): void {
    this.#drop(id);
    this.#items.set(id, item);
    this.#bytes += this.#lengthOf(item);
    for (const oldest of this.#items.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#drop(oldest);
    }
  }

  #drop(id: BlockId): void {
    const item = this.#items.get(id);
    if (item === undefined) return;
    this.#items.delete(id);
    this.#bytes -= this.#lengthOf(item);
  }
}
