import type { BlockId } from '../../model/ids.ts';
import { Column, PackedKeys } from '../chunks/packed-keys.ts';

/** The blocks that a run has to do with: those of its base, those it stores, those it found in the depot. */
export class BlockTable {
  readonly #ids = new PackedKeys();
  readonly #lengths = new Column();
  readonly #marks = new Column();

  get size(): number {
    return this.#ids.size;
  }

  /** -1 if the run has not met the block. */
  find(id: BlockId): number {
    return this.#ids.find(id);
  }

  /** The same of an id's bytes. */
  findBytes(bytes: Uint8Array, at: number): number {
    return this.#ids.findBytes(bytes, at);
  }

  /** @param length bytes of the whole block */
  add(id: BlockId, length: number, mark: BlockMark): number {
    const number = this.#ids.add(id);
    this.#lengths.set(number, length);
    this.mark(number, mark);
    return number;
  }

  idOf(number: number): BlockId {
    return this.#ids.keyAt(number) as BlockId;
  }

  lengthOf(number: number): number {
    return this.#lengths.get(number);
  }

  mark(number: number, mark: BlockMark): void {
    this.#marks.set(number, this.#marks.get(number) | mark);
  }

  /** Whether any block has any of the marks. */
  hasAny(marks: number): boolean {
    for (let number = 0; number < this.size; number++) if (this.is(number, marks)) return true;
    return false;
  }

  unmark(number: number, mark: BlockMark): void {
    this.#marks.set(number, this.#marks.get(number) & ~mark);
  }

  /** Whether the block has any of the marks. */
  is(number: number, marks: number): boolean {
    return (this.#marks.get(number) & marks) !== 0;
  }

  has(id: BlockId, marks: number): boolean {
    const number = this.find(id);
    return number >= 0 && this.is(number, marks);
  }
}

/** In refs(base). */
export const IN_BASE = 1;
/** Stored by this run. */
export const STORED = 2;
/** Found in the depot, for runs that deduplicate against all of it. */
export const IN_DEPOT = 4;
/** Named in the refs of the snapshot that is being made. */
export const IN_REFS = 8;
/** Mostly dead in the base: nothing new leans on it. */
export const SPARSE = 16;
export type BlockMark = typeof IN_BASE | typeof STORED | typeof IN_DEPOT | typeof IN_REFS | typeof SPARSE;
