import { DAY_MS, SECOND_MS, type UnixMillis } from '../../model/time.ts';
import { rateAt, type RatePlan } from '../../schedule/rate-plan.ts';
import { HORIZON_MS, nextInterval, type Windows } from '../../schedule/windows.ts';
import type { Clock } from '../../world/ports.ts';

/** Less than this is not worth a timer. */
const SHORTEST_WAIT_MS = 20;

/** When and how fast a pull may go on: hours, and bytes per second by time of day. */
export class PullBudget {
  readonly #clock: Clock;
  readonly #rate: RatePlan;
  readonly #windows: Windows;
  /** Until when what has come is paid for, by the monotonic clock. */
  #paid = 0;

  constructor(clock: Clock, rate: RatePlan, windows: Windows) {
    this.#clock = clock;
    this.#rate = rate;
    this.#windows = windows;
  }

  /** When it opens, if it is closed now; null if it is open, also where that is not for the next five weeks. */
  closedUntil(): UnixMillis | null {
    const now = this.#clock.now();
    const next = nextInterval(this.#windows, now);
    if (next === null) return now + HORIZON_MS;
    return next.start > now ? next.start : null;
  }

  /** Aborts when the hours that are open now are over, or with `stop`. Call `end` when it is not needed any more. */
  open(stop: AbortSignal): { readonly signal: AbortSignal; readonly end: () => void } {
    const over = new AbortController();
    const ended = new AbortController();
    const now = this.#clock.now();
    const end = nextInterval(this.#windows, now)?.end ?? null;
    if (end !== null) {
      const long = Math.min(Math.max(0, end - now), DAY_MS);
      void this.#clock.sleep(long, ended.signal).then(() => over.abort());
    }
    return { signal: AbortSignal.any([stop, over.signal]), end: () => ended.abort() };
  }

  /** Waits until as much may come again. */
  async spend(bytes: number, stop: AbortSignal): Promise<void> {
    const { bytesPerSecond } = rateAt(this.#rate, this.#clock.now());
    if (bytesPerSecond === null) return;
    const now = this.#clock.monotonic();
    this.#paid = Math.max(this.#paid, now) + (bytes / bytesPerSecond) * SECOND_MS;
    const wait = this.#paid - now;
    if (wait >= SHORTEST_WAIT_MS) await this.#clock.sleep(wait, stop);
  }
}
