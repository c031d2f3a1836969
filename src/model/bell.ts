import { aborted } from './stopping.ts';

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
      await Promise.race([promise, aborted(stop)]);
      this.#resolve = null;
    }
    if (!this.#rung) return false;
    this.#rung = false;
    return true;
  }
}
