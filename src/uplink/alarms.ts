import type { ErrorCode } from '../model/errors.ts';
import type { Monitor } from '../world/ports.ts';

/** Alarms of one uplink: the same trouble with the same thing is told once, however often it comes back. */
export class Alarms {
  readonly #monitor: Monitor;
  readonly #told = new Map<string, ErrorCode>();

  constructor(monitor: Monitor) {
    this.#monitor = monitor;
  }

  raise(subject: string, code: ErrorCode, message: string): void {
    if (this.#told.get(subject) === code) return;
    this.#told.set(subject, code);
    this.#monitor.event({ kind: 'alarm', code, message });
  }

  /** It is well again: the next time is news. */
  clear(subject: string): void {
    this.#told.delete(subject);
  }
}
