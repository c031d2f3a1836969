import { SECOND_MS } from '../model/time.ts';

/** Over so long a time the granted rate must be kept (docs/scheduling.md S73). */
const WINDOW_MS = 10 * SECOND_MS;
/** More than this part above the grant is no accident. */
const TOLERANCE = 1.25;

/** Whether a client keeps to the rate that it was granted, by what has come from it. */
export class RateWatch {
  #since = -Infinity;
  #bytes = 0;
  #rate: number | null = null;

  /**
   * @param slack bytes that may be under way whatever the rate is: what buffers and the line hold, and a whole block
   * @returns true if it has sent far more than it was granted
   */
  came(bytes: number, rate: number | null, slack: number, now: number): boolean {
    if (rate !== this.#rate) this.#begin(rate, now);
    if (rate === null) return false;
    this.#bytes += bytes;
    const passed = now - this.#since;
    if (passed < WINDOW_MS) return false;
    const tooMuch = this.#bytes > (rate * TOLERANCE * passed) / SECOND_MS + slack;
    this.#begin(rate, now);
    return tooMuch;
  }

  #begin(rate: number | null, now: number): void {
    this.#rate = rate;
    this.#since = now;
    this.#bytes = 0;
  }
}
