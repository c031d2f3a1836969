import type { Limits } from '../model/limits.ts';

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

/**
 * Candidates after each byte from `from` on, ascending: twice the position in `bytes`, plus 1 if strict. The bytes
 * before `from` (at least 31 of them, unless the file starts there) fill the window, so a file can be looked through
 * in pieces and in any order.
 */
export function findCandidates(
  bytes: Uint8Array,
  from: number,
  gear: Uint32Array,
  rule: Pick<CutRule, 'strictShift' | 'looseShift'>,
): number[] {
  const { strictShift, looseShift } = rule;
  const found: number[] = [];
  let hash = 0;
  for (let at = Math.max(0, from - WINDOW_BYTES + 1); at < from; at++) hash = (hash << 1) + gear[bytes[at]!]!;
  const end = bytes.length;
  for (let at = from; at < end; at++) {
    hash = ((hash << 1) + gear[bytes[at]!]!) | 0;
    if (hash >>> looseShift === 0) found.push((at + 1) * 2 + (hash >>> strictShift === 0 ? 1 : 0));
  }
  return found;
}
