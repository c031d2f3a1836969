import { MINUTE_MS } from '../model/time.ts';

/** A queue on the line of this length is what a transfer that yields may cause (RFC 6817 allows 100 ms). */
const TARGET_MS = 30;
/** How far the rate may rise between two samples, and fall. */
const RISE_MAX = 1.25;
const FALL_MAX = 0.5;
/** From this part of where a queue showed last it rises carefully: by so much more with each sample that shows none. */
const NEAR = 0.8;
const CAREFUL = 0.01;
/** A rate of which less is used is held back by something else: it is not raised. */
const USED = 0.7;
const FIRST_RATE = 512 * 1024;
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
  /** What was sent when a queue showed last. */
  readonly full: number;
  /** Samples since then. */
  readonly calm: number;
  /** Shortest round trip of the last span and of the one before, in milliseconds. */
  readonly bases: readonly [number, number];
  readonly spanEnds: number;
}

/** What was seen since the sample before. */
export interface LineSample {
  /** Of some small questions, in milliseconds: on average, or the one that showed a queue, because others come and go; and the shortest. */
  readonly roundTrip: number;
  readonly shortest: number;
  /** Bytes a second that the transfer really sent. */
  readonly sent: number;
}

export function startYielding(now: number): Yielding {
  const bases = [Infinity, Infinity] as const;
  return { bytesPerSecond: FIRST_RATE, full: Infinity, calm: 0, bases, spanEnds: now + BASE_MS };
}

/** Whether a single round trip says that there is a queue. */
export function showsQueue({ bases }: Yielding, roundTrip: number): boolean {
  return roundTrip - Math.min(...bases) > TARGET_MS;
}

export function yieldTo(state: Yielding, { roundTrip, shortest, sent }: LineSample, now: number): Yielding {
  const spanOver = now >= state.spanEnds;
  const [newest, before] = spanOver ? [Infinity, state.bases[0]] : state.bases;
  const bases = [Math.min(newest, shortest), before] as const;
  const queue = roundTrip - Math.min(...bases);
  const next = { ...state, bases, spanEnds: spanOver ? now + BASE_MS : state.spanEnds };
  if (queue > TARGET_MS) return { ...next, ...fallen(state, sent, queue) };
  return { ...next, bytesPerSecond: risen(state, sent, queue), calm: state.calm + 1 };
}

/** From what was really sent: a rate that nobody used says nothing about the line. */
function fallen({ bytesPerSecond }: Yielding, sent: number, queue: number): Partial<Yielding> {
  const used = Math.max(LEAST_RATE, Math.min(bytesPerSecond, sent));
  const factor = Math.max(FALL_MAX, 1 + (TARGET_MS - queue) / TARGET_MS / 4);
  return { bytesPerSecond: Math.max(LEAST_RATE, used * factor), full: used, calm: 0 };
}

function risen({ bytesPerSecond, full, calm }: Yielding, sent: number, queue: number): number {
  if (sent < bytesPerSecond * USED) return bytesPerSecond;
  const most = bytesPerSecond < full * NEAR ? RISE_MAX : Math.min(RISE_MAX, 1 + CAREFUL * calm);
  const factor = 1 + ((most - 1) * (TARGET_MS - queue)) / TARGET_MS;
  return Math.min(MOST_RATE, bytesPerSecond * factor);
}
