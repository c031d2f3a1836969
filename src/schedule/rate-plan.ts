import type { UnixMillis } from '../model/time.ts';
import { HORIZON_MS, nextInterval, type Windows } from './windows.ts';

/** How fast something may go by time of day (S60-S64): the first row whose hours are open counts. Made by `parseRate`. */
export interface RatePlan {
  /** Canonical text, every zone named. */
  readonly text: string;
  readonly rows: readonly RateRow[];
}

export interface RateRow {
  /** Null: no limit. */
  readonly bytesPerSecond: number | null;
  /** Null: at all times. */
  readonly hours: Windows | null;
}

export const UNLIMITED: RatePlan = { text: 'unlimited', rows: [] };

/** What holds from some moment until `until`; null: for ever. */
export interface RateNow {
  readonly bytesPerSecond: number | null;
  readonly until: UnixMillis | null;
}

/** Looks no further than the row that counts: those below it change nothing. */
export function rateAt({ rows }: RatePlan, at: UnixMillis): RateNow {
  let until = Infinity;
  for (const { bytesPerSecond, hours } of rows) {
    if (hours === null) return { bytesPerSecond, until: finite(until) };
    // What does not change in five weeks is looked at again after that, as windows are (S50).
    const next = nextInterval(hours, at) ?? { start: at + HORIZON_MS, end: null };
    if (next.start > at) until = Math.min(until, next.start);
    else return { bytesPerSecond, until: Math.min(until, next.end ?? at + HORIZON_MS) };
  }
  return { bytesPerSecond: null, until: finite(until) };
}

const finite = (at: UnixMillis): UnixMillis | null => (at === Infinity ? null : at);
