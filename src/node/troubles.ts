import { isLowtideError, messageOf } from '../model/errors.ts';
import type { Monitor } from '../world/ports.ts';

/** Trouble with the disk, or with what is on it, must be heard of once and must not end a daemon. */
export class Troubles {
  readonly #monitor: Monitor;
  /** What did not work the last time, with its code. */
  readonly #told = new Map<string, string>();

  constructor(monitor: Monitor) {
    this.#monitor = monitor;
  }

  async survive<T, Otherwise>(
    doing: string,
    work: () => Promise<T>,
    otherwise: Otherwise,
  ): Promise<T | Otherwise> {
    try {
      const result = await work();
      this.#told.delete(doing);
      return result;
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      const message = `${doing} failed: ${messageOf(error)}`;
      const news = this.#told.get(doing) !== error.code;
      this.#told.set(doing, error.code);
      if (news) this.#monitor.event({ kind: 'alarm', code: error.code, message });
      return otherwise;
    }
  }
}
