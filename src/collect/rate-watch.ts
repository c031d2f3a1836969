import { SECOND_MS } from '../model/time.ts';

/** So much of the granted rate may come at once (docs/scheduling.md S73). */
const BURST_MS = 10 * SECOND_MS;
/** More than this part above the grant is no accident. */
const TOLERANCE = 1.25;
/** What was sent at a higher rate may come for so long after it has fallen. */
const LAG_MS = 2 * SECOND_MS;

/** Bytes that may come in a time at this rate. */
const mayCome = (rate: number, ms: number): number => (rate * TOLERANCE * ms) / SECOND_MS;

/** Whether a client keeps to the rate that it was granted, by what has come from it: a leaky bucket. */
export class RateWatch {
  /** Bytes that came and have not been granted since. */
  #level = 0;
  #lookedAt = 0;
  #rate: number | null = null;
  /** What counts beside the rate until it has fallen for `LAG_MS`. */
  #before = 0;
  #beforeUntil = 0;

  /**
   * @param rate of all that it may send now together
   * @param slack bytes that may be under way whatever the rate is: what buffers and the line hold, and a whole block
   * @returns true if it has sent far more than it was granted: told as soon as that is sure, and then once
   */
  came(bytes: number, rate: number | null, slack: number, now: number): boolean {
    const counted = this.#follow(rate, now);
    if (rate === null) return false;
    this.#level += bytes;
    const tooMuch = this.#level > mayCome(counted, BURST_MS) + slack;
    if (tooMuch) this.#level = 0;
    return tooMuch;
  }

  /** @returns the rate that counts now */
  #follow(rate: number | null, now: number): number {
    const before = this.#rate;
    this.#rate = rate;
    if (rate === null || before === null) {
      this.#level = this.#beforeUntil = 0;
    } else if (rate < before && now >= this.#beforeUntil) {
      this.#before = before;
      this.#beforeUntil = now + LAG_MS;
    }
    if (rate === null) return Infinity;
    const counted = now < this.#beforeUntil ? Math.max(rate, this.#before) : rate;
    this.#level = Math.max(0, this.#level - mayCome(Math.max(counted, before ?? 0), now - this.#lookedAt));
    this.#lookedAt = now;
    return counted;
  }
}
