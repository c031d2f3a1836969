import { MINUTE_MS } from '../model/time.ts';

/** A queue on the line of this length is what a transfer that yields may cause (RFC 6817 allows 100 ms). */
const TARGET_MS = 60;
/** How far the rate may rise between two samples, and fall. */
const RISE_MAX = 1.5;
const FALL_MAX = 0.5;
const FIRST_RATE = 1024 * 1024;
const LEAST_RATE = 64 * 1024;
/** Above this a transfer is as fast as it goes. */
const MOST_RATE = 10 ** 10;
/** The round trip of an empty line is the shortest of so many minutes: routes change. */
const BASE_MS = 5 * MINUTE_MS;

/**
 * The rate of a transfer that gives way to everything else on its line, from round-trip times measured while it runs, in
 * the manner of LEDBAT (RFC 6817): what the round trip takes longer than on an empty line is a queue; where there is one,
 * less is sent. Pure.
 */
export interface Yielding {
  readonly bytesPerSecond: number;
  /** Shortest round trip of the last span and of the one before, in milliseconds. */
  readonly bases: readonly [number, number];
  readonly spanEnds: number;
}

export function startYielding(now: number): Yielding {
  return { bytesPerSecond: FIRST_RATE, bases: [Infinity, Infinity], spanEnds: now + BASE_MS };
}

/** @param roundTrip in milliseconds, of one small question */
export function yieldTo(state: Yielding, roundTrip: number, now: number): Yielding {
  const spanOver = now >= state.spanEnds;
  const [newest, before] = spanOver ? [Infinity, state.bases[0]] : state.bases;
  const bases = [Math.min(newest, roundTrip), before] as const;
  const queue = roundTrip - Math.min(...bases);
  const factor = Math.min(RISE_MAX, Math.max(FALL_MAX, 1 + (TARGET_MS - queue) / TARGET_MS / 2));
  const bytesPerSecond = Math.min(MOST_RATE, Math.max(LEAST_RATE, state.bytesPerSecond * factor));
  return { bytesPerSecond, bases, spanEnds: spanOver ? now + BASE_MS : state.spanEnds };
}
