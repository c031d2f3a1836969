import type { UnixMillis } from '../model/time.ts';

/** A value that is constant between changes: from each `at` on it is the value beside it. Sorted by `at`. */
export type Steps = readonly { readonly at: UnixMillis; readonly value: number }[];

/** The same value at all times. */
export function constant(value: number): Steps {
  return [{ at: -Infinity, value }];
}

/** The value at a moment; the first value also holds before its own moment. */
export function valueAt(steps: Steps, at: UnixMillis): number {
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle]!.at <= at) low = middle + 1;
    else high = middle;
  }
  return steps[Math.max(0, low - 1)]!.value;
}

/** Both combined wherever either changes, without steps that change nothing. */
export function combine(a: Steps, b: Steps, how: (a: number, b: number) => number): Steps {
  const moments = [...new Set([...a, ...b].map(({ at }) => at))].sort((x, y) => x - y);
  const result: { at: UnixMillis; value: number }[] = [];
  for (const at of moments) {
    const value = how(valueAt(a, at), valueAt(b, at));
    if (result.at(-1)?.value !== value) result.push({ at, value });
  }
  return result;
}

/** The area below the steps in [from, to): value times milliseconds. */
export function areaBelow(steps: Steps, from: UnixMillis, to: UnixMillis): number {
  let area = 0;
  let at = from;
  while (at < to) {
    const next = Math.min(steps.find((step) => step.at > at)?.at ?? Infinity, to);
    area += valueAt(steps, at) * (next - at);
    at = next;
  }
  return area;
}
