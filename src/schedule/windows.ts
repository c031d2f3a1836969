import { LowtideError } from '../model/errors.ts';
import { DAY_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import { clip, intersect, subtract, totalTime, unite, type Span } from './spans.ts';
import { describeWindows, isAlways, isNever } from './windows-text.ts';
import { dayOf, includesDay, type Interval, type WeeklySpan, type Windows } from './weekly.ts';
import { momentOf, offsetsOf, wallAt } from './zones.ts';

export { describeWindows, isAlways, isNever, parseWindows } from './windows-text.ts';
export type { Interval, Windows } from './weekly.ts';

/** How far a search looks, in both directions (S16). */
export const HORIZON_MS = 35 * DAY_MS;
/** Start of an interval that has been open for longer than the horizon. */
export const FOREVER_AGO: UnixMillis = -8_640_000_000_000_000;
/** Most windows open and close within two days of any moment, so most searches end after the first look. */
const REACHES = [2 * DAY_MS, 9 * DAY_MS, HORIZON_MS];
const YEAR_AND_A_WEEK = 372 * DAY_MS;
/** 2026-01-01: only whether there is ever a meeting depends on it, and zones repeat every year. */
const ANY_YEAR: UnixMillis = 1_767_225_600_000;

/** Everything that is open in [from, to), clipped to it. */
type Timeline = (from: UnixMillis, to: UnixMillis) => Span[];

/** Each day's stretch in real time; not united, reaching over the edges. */
function daysOf(span: WeeklySpan, from: UnixMillis, to: UnixMillis): Span[] {
  const result: Span[] = [];
  // A span ends on the day after its start at the latest; and a clock that was set back may show yesterday (S2).
  const offsets = offsetsOf(span.zone, from - 3 * DAY_MS, to);
  const last = dayOf(wallAt(to, offsets)) + 1;
  for (let day = dayOf(wallAt(from, offsets)) - 1; day <= last; day++) {
    if (!includesDay(span.days, day)) continue;
    const midnight = day * DAY_MS;
    const start = momentOf(midnight + span.start * SECOND_MS, offsets);
    if (start < to) result.push({ start, end: momentOf(midnight + span.end * SECOND_MS, offsets) });
  }
  return result;
}

const timelineOf =
  (windows: Windows): Timeline =>
  (from, to) => {
    if (isNever(windows)) return [];
    if (isAlways(windows)) return [{ start: from, end: to }];
    const all = (spans: readonly WeeklySpan[]): Span[] =>
      unite(spans.flatMap((span) => daysOf(span, from, to)));
    return clip(subtract(all(windows.open), all(windows.except)), from, to);
  };

const sharedTimeline =
  (list: readonly Windows[]): Timeline =>
  (from, to) => {
    const whole: readonly Span[] = [{ start: from, end: to }];
    return [...list.reduce((shared, windows) => intersect(shared, timelineOf(windows)(from, to)), whole)];
  };

/** The interval that contains `at`, else the next one. Looks further only while what it finds touches the edge. */
function search(timeline: Timeline, at: UnixMillis): Interval | null {
  let found: Interval | null = null;
  for (const reach of REACHES) {
    const [from, to] = [at - reach, at + reach];
    const span = timeline(from, to).find(({ end }) => end > at);
    if (span === undefined) continue;
    const [begun, unending] = [span.start === from, span.end === to];
    if (!begun && !unending) return span;
    found = { start: begun ? FOREVER_AGO : span.start, end: unending ? null : span.end };
  }
  return found;
}

export function isOpen(windows: Windows, at: UnixMillis): boolean {
  return timelineOf(windows)(at, at + 1).length > 0;
}

/** The whole stretch around `at` in which the windows stay open, null if they are closed (S16). */
export function intervalAt(windows: Windows, at: UnixMillis): Interval | null {
  return isOpen(windows, at) ? search(timelineOf(windows), at) : null;
}

/** The interval that contains `at`, else the next one; null if none begins within five weeks (S16). */
export function nextInterval(windows: Windows, at: UnixMillis): Interval | null {
  return search(timelineOf(windows), at);
}

/** Sorted, merged, clipped to [from, to). */
export function intervalsBetween(windows: Windows, from: UnixMillis, to: UnixMillis): Span[] {
  return from < to ? timelineOf(windows)(from, to) : [];
}

/** As `nextInterval`, of the time in which all of them are open; no windows at all are always open (S21). */
export function nextShared(list: readonly Windows[], at: UnixMillis): Interval | null {
  return search(sharedTimeline(list), at);
}

/** Sorted, merged, clipped to [from, to): the time in which all of them are open. */
export function sharedBetween(list: readonly Windows[], from: UnixMillis, to: UnixMillis): Span[] {
  return from < to ? sharedTimeline(list)(from, to) : [];
}

/** Milliseconds of [from, to) in which all of them are open. */
export function sharedTime(list: readonly Windows[], from: UnixMillis, to: UnixMillis): number {
  return totalTime(sharedBetween(list, from, to));
}

/** Whether both are open at the same time at some moment of the year after `from` (S22). */
export function everMeet(a: Windows, b: Windows, from: UnixMillis = ANY_YEAR): boolean {
  const shared = sharedTimeline([a, b]);
  for (let at = from; at < from + YEAR_AND_A_WEEK; at += HORIZON_MS) {
    if (shared(at, at + HORIZON_MS).length > 0) return true;
  }
  return false;
}

/** @throws LowtideError `windows-never-meet`, with both printed (S22) */
export function checkWindowsMeet(client: Windows, center: Windows, from?: UnixMillis): void {
  if (everMeet(client, center, from)) return;
  throw new LowtideError(
    'windows-never-meet',
    `the transfer windows (${describeWindows(client)}) and the center's windows (${describeWindows(center)}) are never open at the same time, so nothing could ever be collected: change one of them`,
  );
}
