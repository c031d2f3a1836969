import type { UnixMillis } from '../model/time.ts';
import type { Fleet } from './fleet.ts';
import { combine, type Steps, valueAt } from './steps.ts';

/** Restores never take more than this part of a line. */
const RESTORES_MOST = 0.95;

export interface LineTime {
  readonly at: UnixMillis;
  /** Without what restores take, bytes per second. */
  readonly capacity: number;
  readonly foreground: number;
}

/** For each line, every moment of the night at which something about it changes. */
export function timelineOf(fleet: Fleet): LineTime[][] {
  return fleet.lines.map(({ capacity, foreground }, index) => {
    const free = combine(capacity, restoresOf(fleet, index), (whole, taken) =>
      Math.max(whole - taken, whole * (1 - RESTORES_MOST)),
    );
    const moments = new Set([fleet.from, ...free.map(({ at }) => at), ...foreground.map(({ at }) => at)]);
    return [...moments]
      .filter((at) => at >= fleet.from && at < fleet.until)
      .sort((a, b) => a - b)
      .map((at) => ({ at, capacity: valueAt(free, at), foreground: valueAt(foreground, at) }));
  });
}

function restoresOf(fleet: Fleet, index: number): Steps {
  const changes = fleet.restores
    .filter(({ line }) => line === index)
    .flatMap(({ start, end, rate }) => [
      { at: start, value: rate },
      { at: end, value: -rate },
    ])
    .sort((a, b) => a.at - b.at);
  let taken = 0;
  return [{ at: -Infinity, value: 0 }, ...changes.map(({ at, value }) => ({ at, value: (taken += value) }))];
}
