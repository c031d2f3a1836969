import { DAY_MS, type UnixMillis } from '../model/time.ts';

/** Bit 0 is Monday, bit 6 is Sunday. */
export type DaySet = number;

export const EVERY_DAY: DaySet = 0b111_1111;
export const MINUTES_PER_DAY = 1440;

/** The number of a day on the wall: 0 is 1970-01-01, a Thursday. */
export function dayOf(wall: number): number {
  return Math.floor(wall / DAY_MS);
}

export function includesDay(days: DaySet, day: number): boolean {
  const weekday = (((day + 3) % 7) + 7) % 7;
  return (days & (1 << weekday)) !== 0;
}

/** One line of a weekly plan: on each of these days of `zone`, from `start` to `end` by the clock on the wall. */
export interface WeeklySpan {
  /** The days on which it starts. */
  readonly days: DaySet;
  /** Minutes since midnight of the start day, 0-1439. */
  readonly start: number;
  /** Minutes since midnight of the start day, greater than `start`; above 1440 it ends on the next day. */
  readonly end: number;
  /** IANA name. */
  readonly zone: string;
}

/** When something may travel: inside any of `open`, and inside none of `except`. Made by `parseWindows`. */
export interface Windows {
  /** Canonical text, every zone named: two Windows with the same text are the same. */
  readonly text: string;
  readonly open: readonly WeeklySpan[];
  readonly except: readonly WeeklySpan[];
}

/** Start included, end not. `end` null: not known to end (docs/scheduling.md S16). */
export interface Interval {
  readonly start: UnixMillis;
  readonly end: UnixMillis | null;
}
