import { SECOND_MS } from '../model/time.ts';

/** Over so long a time the granted rate must be kept (docs/scheduling.md S73). */
const WINDOW_MS = 10 * SECOND_MS;
/** More than this part above the grant is no accident. */
const TOLERANCE = 1.25;
/** What was sent at a higher rate may come for so long after it has fallen. */
const LAG_MS = 2 * SECOND_MS;

/** Bytes that may come in a time at this rate. */
const mayCome = (rate: number, ms: number): number => (rate * TOLERANCE * ms) / SECOND_MS;

/** Whether a client keeps to the rate that it was granted, by what has come from it. */
export class RateWatch {
  #since = 0;
  #bytes = 0;
  /** What might have come since then, at the rates of that time. */
  #allowed = 0;
  #lookedAt = 0;
  #rate: number | null = null;
  /** What counts beside the rate until it has fallen for `LAG_MS`. */
  #before = 0;
  #beforeUntil = 0;

  /**
   * @param slack bytes that may be under way whatever the rate is: what buffers and the line hold, and a whole block
   * @returns true if it has sent far more than it was granted: told as soon as that is sure, and then once
   */
  came(bytes: number, rate: number | null, slack: number, now: number): boolean {
    const counted = this.#follow(rate, now);
    if (rate === null) return false;
    this.#bytes += bytes;
    const left = Math.max(0, this.#since + WINDOW_MS - now);
    const tooMuch = this.#bytes > this.#allowed + mayCome(counted, left) + slack;
    if (tooMuch || left === 0) this.#begin(now);
    return tooMuch;
  }

  /** @returns the rate that counts now */
  #follow(rate: number | null, now: number): number {
    const before = this.#rate;
    this.#rate = rate;
    if (rate === null) return Infinity;
    if (before === null) {
      this.#begin(now);
      this.#beforeUntil = 0;
    } else if (rate < before && now >= this.#beforeUntil) {
      this.#before = before;
      this.#beforeUntil = now + LAG_MS;
    }
    const counted = now < this.#beforeUntil ? Math.max(rate, this.#before) : rate;
    this.#allowed += mayCome(Math.max(counted, before ?? 0), now - this.#lookedAt);
    this.#lookedAt = now;
    return counted;
  }

  #begin(now: number): void {
    this.#since = this.#lookedAt = now;
    this.#bytes = this.#allowed = 0;
  }
}
