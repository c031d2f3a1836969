import { Column } from '../chunks/packed-keys.ts';

/** What became of the blocks of this run: the number in the BlockTable of each that has been stored. */
export class RunBlocks {
  readonly #numbers = new Column();

  stored(block: number, number: number): void {
    this.#numbers.set(block, number + 1);
  }

  /** The block's number in the BlockTable; -1 while it is not stored. */
  numberOf(block: number): number {
    return this.#numbers.get(block) - 1;
  }
}
