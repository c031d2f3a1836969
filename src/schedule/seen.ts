import { DAY_MS, MINUTE_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';

/** What one order of a client came to on the wire. */
export interface SeenTransfer {
  readonly endedAt: UnixMillis;
  readonly bytes: number;
  /** From the client's first call to its last block. */
  readonly ms: number;
  /** The lowest rate that it had meanwhile, in bytes a second; null if it had none. */
  readonly granted: number | null;
}

/** One time that a client was connected. */
export interface SeenStay {
  readonly from: UnixMillis;
  readonly until: UnixMillis;
}

/** What came in less time, or is smaller, says more about round trips than about the line. */
const TELLING_MS = 2 * SECOND_MS;
const TELLING_BYTES = 1_000_000;
/** Above this part of its grant it was the grant that held it back (S63). */
const HELD_BACK = 0.8;
/** What was seen counts half as much after this. */
const HALF_LIFE_MS = 14 * DAY_MS;
/** A connection that comes back so soon was not away; one that is shorter than the second was broken off. */
const BREAK_MS = 5 * MINUTE_MS;
const STAY_MS = 10 * MINUTE_MS;

/**
 * Bytes a second that a client can send, by its past transfers (S68): the median, where what is older counts less. What was
 * held back by its grant counts only where it was faster than the others. Null if nothing tells.
 */
export function paceSeen(transfers: readonly SeenTransfer[], now: UnixMillis): number | null {
  const telling = transfers
    .filter(tellsPace)
    .map(({ bytes, ms, granted, endedAt }) => ({ value: (bytes / ms) * SECOND_MS, at: endedAt, granted }));
  const free = telling.filter(({ value, granted }) => granted === null || value < HELD_BACK * granted);
  const median = decayedMedian(free, now);
  if (median === null) return null;
  const more = telling.filter((sample) => !free.includes(sample) && sample.value > median);
  return decayedMedian([...free, ...more], now);
}

/** Milliseconds that a client uses to stay connected (S67), by the same kind of median; null if nothing tells. */
export function staySeen(stays: readonly SeenStay[], now: UnixMillis): number | null {
  const joined: { from: UnixMillis; until: UnixMillis }[] = [];
  for (const { from, until } of stays.toSorted((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last !== undefined && from - last.until < BREAK_MS) last.until = Math.max(last.until, until);
    else joined.push({ from, until });
  }
  const samples = joined.map(({ from, until }) => ({ value: until - from, at: until }));
  return decayedMedian(
    samples.filter(({ value }) => value >= STAY_MS),
    now,
  );
}

/** Whether a transfer is worth remembering. */
export function tellsPace({ bytes, ms }: Pick<SeenTransfer, 'bytes' | 'ms'>): boolean {
  return bytes >= TELLING_BYTES && ms >= TELLING_MS;
}

/** Whether a stay is. */
export function tellsStay({ from, until }: SeenStay): boolean {
  return until - from >= STAY_MS;
}

interface Sample {
  readonly value: number;
  readonly at: UnixMillis;
}

/** The least value that, with all below it, has half of the weight. What lies ahead of now counts as of now. */
function decayedMedian(samples: readonly Sample[], now: UnixMillis): number | null {
  const weighed = samples
    .map(({ value, at }) => ({ value, weight: 2 ** (-Math.max(0, now - at) / HALF_LIFE_MS) }))
    .toSorted((a, b) => a.value - b.value);
  let left = weighed.reduce((sum, { weight }) => sum + weight, 0) / 2;
  for (const { value, weight } of weighed) {
    left -= weight;
    if (left <= 0) return value;
  }
  return weighed.at(-1)?.value ?? null;
}
