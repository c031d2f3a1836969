import type { Limits } from '../../model/limits.ts';

/** Where chunks may end (format F12, F13). The window is the last 32 bytes, whatever the last cut was. */
export interface CutRule {
  readonly min: number;
  readonly average: number;
  readonly max: number;
  /** h >>> strictShift is zero at a strict candidate, h >>> looseShift at a loose one. */
  readonly strictShift: number;
  readonly looseShift: number;
}

export const WINDOW_BYTES = 32;
const HASH_BITS = 32;
/** A strict candidate needs this many more zero bits than the average says, a loose one as many fewer. */
const NORMALISING_BITS = 2;

export function cutRuleOf(limits: Limits): CutRule {
  const { chunk_bytes_min: min, chunk_bytes_average: average, chunk_bytes_max: max } = limits;
  const bits = Math.log2(average);
  if (!Number.isInteger(bits) || min < WINDOW_BYTES || min > average || average > max) {
    throw new TypeError('chunk sizes must be ordered, the average a power of two, the least 32 bytes');
  }
  return {
    min,
    average,
    max,
    strictShift: HASH_BITS - bits - NORMALISING_BITS,
    looseShift: HASH_BITS - bits + NORMALISING_BITS,
  };
}
