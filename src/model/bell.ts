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
}
