import { HOUR_MS, MINUTE_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import type { WeeklySpan, Windows } from './weekly.ts';

/**
 * Reference for tests, on another principle than the code: no time on the wall is ever turned into an instant. It
 * watches a wall clock (Intl's) step by step through some time, holding the hands still while they are set back.
 */
export interface Watched {
  readonly zone: string;
  readonly from: UnixMillis;
  /** Milliseconds from one look at the clock to the next. */
  readonly step: number;
  /** What the clock that is never set back shows at each look: steps since 1970-01-01 00:00 of its own. */
  readonly shown: readonly number[];
}

/** @param step a minute, or a second */
export function watch(zone: string, from: UnixMillis, hours: number, step = MINUTE_MS): Watched {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
    hourCycle: 'h23',
  });
  const wall = (at: UnixMillis): number => {
    const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const { year, month, day, hour, minute, second } = part;
    return Math.floor(Date.UTC(year!, month! - 1, day, hour, minute, second) / step);
  };
  // Hands that were set back just before `from` would still be held.
  let highest = Number.NEGATIVE_INFINITY;
  for (let at = from - 26 * HOUR_MS; at < from; at += MINUTE_MS)
    highest = Math.max(highest, wall(at + MINUTE_MS - SECOND_MS));
  const shown = Array.from(
    { length: (hours * HOUR_MS) / step },
    (_, i) => (highest = Math.max(highest, wall(from + i * step))),
  );
  return { zone, from, step, shown };
}

const DAY = 86_400;

/** @param second since 1970-01-01 00:00 by the clock of the span's zone */
function covers(span: WeeklySpan, second: number): boolean {
  return [0, 1].some((back) => {
    const day = Math.floor(second / DAY) - back;
    // 1970-01-01 was a Thursday.
    if ((span.days & (1 << ((day + 3) % 7))) === 0) return false;
    const time = second - day * DAY;
    return span.start <= time && time < span.end;
  });
}

/** @param clocks one for every zone that the windows name, all watched at the same moments */
export function openByWatching(windows: Windows, clocks: readonly Watched[], look: number): boolean {
  const inside = (span: WeeklySpan): boolean => {
    const { shown, step } = clocks.find(({ zone }) => zone === span.zone)!;
    return covers(span, (shown[look]! * step) / SECOND_MS);
  };
  return windows.open.some(inside) && !windows.except.some(inside);
}
