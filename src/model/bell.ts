import { aborted } from './stopping.ts';

/** Wakes one waiter. A ring while nobody waits is kept until somebody does. */
export class Bell {
  #rung = false;
  #resolve: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#resolve?.();
  }

  /** Resolves when rung or when `stop` aborts. */
  async wait(stop: AbortSignal): Promise<void> {
    if (!this.#rung && !stop.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#resolve = resolve;
      await Promise.race([promise, aborted(stop)]);
      this.#resolve = null;
    }
    this.#rung = false;
  }
}
