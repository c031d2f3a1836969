import type { CutRule } from './gear.ts';

/**
 * The cut rule of suite 1 (format F13): from the last cut c the next is the first strict candidate in
 * [c + min, c + average), else the first loose one in [c + average, c + max), else c + max or the end. Pure: the same
 * candidates give the same cuts however they were found.
 */
export class Cutter {
  readonly #rule: CutRule;
  #candidates: number[] = [];
  #first = 0;
  #from = 0;
  #scanned = 0;

  /** @param start of the run of data: the cut before the first chunk */
  constructor(rule: CutRule, start: number) {
    this.#rule = rule;
    this.#from = start;
    this.#scanned = start;
  }

  /** The last cut. */
  get from(): number {
    return this.#from;
  }

  /**
   * All candidates (as `GearKernel.find` gives them) of the bytes between the last call and `upTo`.
   * @param origin what to add to their positions
   */
  feed(candidates: readonly number[], origin: number, upTo: number): void {
    if (this.#first > 0) this.#candidates.splice(0, this.#first);
    this.#first = 0;
    for (const candidate of candidates) this.#candidates.push(candidate + 2 * origin);
    this.#scanned = upTo;
  }

  /** The next cut; null if more must be fed first, or if the run of data ends at the last cut. */
  next(isEnd: boolean): number | null {
    const cut = this.#decide(isEnd);
    if (cut !== null) this.#from = cut;
    return cut;
  }

  #decide(isEnd: boolean): number | null {
    const { min, average, max } = this.#rule;
    const known = this.#scanned;
    if (known === this.#from) return null;
    const middle = this.#from + average;
    this.#skipTo(this.#from + min);
    let at = this.#first;
    for (; this.#positionAt(at) < middle; at++) {
      if (this.#candidates[at]! % 2 === 1) return this.#positionAt(at);
    }
    if (known < middle - 1 && !isEnd) return null;
    const last = this.#from + max;
    if (this.#positionAt(at) < last) return this.#positionAt(at);
    if (known >= last) return last;
    return isEnd ? known : null;
  }

  #positionAt(index: number): number {
    const candidate = this.#candidates[index];
    return candidate === undefined ? Infinity : Math.floor(candidate / 2);
  }

  #skipTo(position: number): void {
    while (this.#positionAt(this.#first) < position) this.#first++;
  }
}
