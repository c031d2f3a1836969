import { HOUR_MS, MINUTE_MS, type UnixMillis } from '../model/time.ts';
import type { WeeklySpan, Windows } from './weekly.ts';

/**
 * Reference for tests, on another principle than the code: no time on the wall is ever turned into an instant. It
 * watches a wall clock (Intl's) minute by minute through some days, holding the hands still while they are set back.
 */
export interface WatchedDays {
  readonly zone: string;
  readonly from: UnixMillis;
  readonly minutes: number;
  /** What the clock that is never set back shows at each minute: minutes since 1970-01-01 00:00 of its own. */
  readonly shown: readonly number[];
}

export function watch(zone: string, from: UnixMillis, hours: number): WatchedDays {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    hourCycle: 'h23',
  });
  const wall = (at: UnixMillis): number => {
    const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    return Date.UTC(part['year']!, part['month']! - 1, part['day'], part['hour'], part['minute']) / MINUTE_MS;
  };
  // Hands that were set back just before `from` would still be held.
  let highest = Number.NEGATIVE_INFINITY;
  for (let at = from - 26 * HOUR_MS; at < from; at += MINUTE_MS) highest = Math.max(highest, wall(at));
  const minutes = hours * 60;
  const shown = Array.from(
    { length: minutes },
    (_, i) => (highest = Math.max(highest, wall(from + i * MINUTE_MS))),
  );
  return { zone, from, minutes, shown };
}

const DAY = 1440;

function covers(span: WeeklySpan, shown: number): boolean {
  return [0, 1].some((back) => {
    const day = Math.floor(shown / DAY) - back;
    // 1970-01-01 was a Thursday.
    if ((span.days & (1 << ((day + 3) % 7))) === 0) return false;
    const minute = shown - day * DAY;
    return span.start <= minute && minute < span.end;
  });
}

/** @param days one for every zone that the windows name, all of the same minutes */
export function openByWatching(windows: Windows, days: readonly WatchedDays[], minute: number): boolean {
  const inside = (span: WeeklySpan): boolean =>
    covers(span, days.find(({ zone }) => zone === span.zone)!.shown[minute]!);
  return windows.open.some(inside) && !windows.except.some(inside);
}
