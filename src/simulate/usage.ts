import type { UnixMillis } from '../model/time.ts';

/** What flowed over a line, in bins of equal length from `from` on: bytes of collection with what was sent again. */
export class Usage {
  readonly from: UnixMillis;
  readonly binMs: number;
  readonly bytes: Float64Array;
  #at: UnixMillis;
  #rate = 0;

  constructor(from: UnixMillis, until: UnixMillis, binMs: number) {
    this.from = from;
    this.binMs = binMs;
    this.bytes = new Float64Array(Math.max(1, Math.ceil((until - from) / binMs)));
    this.#at = from;
  }

  /** From `at` on it is this rate, in bytes per second. */
  setRate(rate: number, at: UnixMillis): void {
    this.closeAt(at);
    this.#rate = rate;
  }

  /** Counts what flowed up to `at`. */
  closeAt(at: UnixMillis): void {
    const { from, binMs, bytes } = this;
    if (this.#rate > 0) {
      const last = Math.min(at, from + bytes.length * binMs);
      for (let start = this.#at; start < last;) {
        const bin = Math.floor((start - from) / binMs);
        const end = Math.min(last, from + (bin + 1) * binMs);
        bytes[bin]! += (this.#rate * (end - start)) / 1000;
        start = end;
      }
    }
    this.#at = Math.max(this.#at, at);
  }
}

const BUCKETS_PER_DECADE = 200;
const BUCKETS = BUCKETS_PER_DECADE * 4;

/** How long something took which value, for values from 1 to 10,000: a histogram of about 1 % a bucket. */
export class Durations {
  readonly #weights = new Float64Array(BUCKETS + 1);
  #at: UnixMillis;
  #value = 1;
  #weight = 0;

  constructor(from: UnixMillis) {
    this.#at = from;
  }

  /** From `at` on it is this value, and every second counts `weight`. */
  set(value: number, weight: number, at: UnixMillis): void {
    this.closeAt(at);
    this.#value = value;
    this.#weight = weight;
  }

  closeAt(at: UnixMillis): void {
    const bucket = Math.ceil(Math.log10(Math.max(1, this.#value)) * BUCKETS_PER_DECADE - 1e-9);
    this.#weights[Math.min(BUCKETS, Math.max(0, bucket))]! += this.#weight * Math.max(0, at - this.#at);
    this.#at = Math.max(this.#at, at);
  }

  addTo(sum: Float64Array): void {
    for (const [bucket, weight] of this.#weights.entries()) sum[bucket]! += weight;
  }

  /** The value that `share` of the time is not above, of several together; null if nothing was counted. */
  static quantile(all: readonly Durations[], share: number): number | null {
    const sum = new Float64Array(BUCKETS + 1);
    for (const each of all) each.addTo(sum);
    const total = sum.reduce((a, b) => a + b, 0);
    if (total === 0) return null;
    let below = 0;
    for (const [bucket, weight] of sum.entries()) {
      below += weight;
      if (below >= total * share) return 10 ** (bucket / BUCKETS_PER_DECADE);
    }
    return 10 ** (BUCKETS / BUCKETS_PER_DECADE);
  }
}
