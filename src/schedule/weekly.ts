import { DAY_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';

/** Bit 0 is Monday, bit 6 is Sunday. */
export type DaySet = number;

export const EVERY_DAY: DaySet = 0b111_1111;
export const SECONDS_PER_DAY = DAY_MS / SECOND_MS;

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
  /** Seconds since midnight of the start day, below a day. */
  readonly start: number;
  /** Seconds since midnight of the start day, greater than `start`; above a day it ends on the next day. */
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
