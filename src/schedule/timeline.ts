import { HOUR_MS, type UnixMillis } from '../model/time.ts';
import type { Span } from './spans.ts';
import { HORIZON_MS, sharedBetween, type Windows } from './windows.ts';

/**
 * The shared time of two sides, counted: how much of it lies before any moment between `from` and `to`. Only differences
 * mean something, and they stay the same when the timeline is continued.
 */
export interface Timeline {
  readonly from: UnixMillis;
  readonly to: UnixMillis;
  readonly spans: readonly Span[];
  /** Shared milliseconds before each span; the last is the one after all of them. */
  readonly before: readonly number[];
}

/** It begins an hour ago, because clocks are set back a little now and then. */
const BACK_MS = HOUR_MS;

/** @param old is continued, if there is one */
export function timelineOf(
  client: Windows,
  center: Windows,
  now: UnixMillis,
  old: Timeline | null,
): Timeline {
  const from = Math.max(now - BACK_MS, old?.from ?? Number.NEGATIVE_INFINITY);
  const to = now + HORIZON_MS;
  const spans = sharedBetween([client, center], from, to);
  const before = [old === null ? 0 : sharedBefore(old, from)];
  for (const { start, end } of spans) before.push(before.at(-1)! + (end - start));
  return { from, to, spans, before };
}

/** Shared milliseconds before `at`, which must lie between `from` and `to`. */
export function sharedBefore({ spans, before }: Timeline, at: UnixMillis): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]!.start < at) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return before[0]!;
  const { start, end } = spans[low - 1]!;
  return before[low - 1]! + Math.min(at, end) - start;
}
