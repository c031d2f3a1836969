import { ENDED } from './stopping.ts';

/** Wakes one waiter. A ring while nobody waits is kept until somebody does. */
export class Bell {
  #rung = false;
  #resolve: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#resolve?.();
  }

  /** Resolves when rung (true) or when `stop` aborts (false, and a ring is kept). */
  async wait(stop: AbortSignal): Promise<boolean> {
    if (!this.#rung && !stop.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#resolve = resolve;
      const abort = (): void => resolve();
      stop.addEventListener('abort', abort, { once: true });
      await promise;
      stop.removeEventListener('abort', abort);
      // The next one may wait already, before this one has come to its end.
      if (this.#resolve === resolve) this.#resolve = null;
    }
    if (!this.#rung || stop.aborted) return false;
    this.#rung = false;
    return true;
  }

  /**
   * As `wait`, but for so long at most.
   * @param sleep resolves when the time is over, or when its signal aborts
   */
  async waitWithin(sleep: (until: AbortSignal) => Promise<void>, stop: AbortSignal): Promise<boolean> {
    const over = new AbortController();
    const end = (): void => over.abort(ENDED);
    stop.addEventListener('abort', end, { once: true });
    if (stop.aborted) end();
    try {
      const late = sleep(over.signal).then(() => false);
      return await Promise.race([this.wait(over.signal), late]);
    } finally {
      stop.removeEventListener('abort', end);
      end();
    }
  }
}
