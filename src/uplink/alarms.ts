import type { ErrorCode } from '../model/errors.ts';
import type { Monitor } from '../world/ports.ts';

/** Answers that no waiting will change: somebody must hear of them. */
export const NEEDS_SOMEBODY: readonly ErrorCode[] = [
  'not-enrolled',
  'revoked',
  'clone-suspected',
  'wrong-center',
  'joined-in-circle',
  'newer-format',
  'clock-off',
];
/** How an order may end without anybody having to hear of it: it goes on in the next one, or in a snapshot without base. */
export const GOES_ON: readonly ErrorCode[] = [
  'order-ended',
  'center-unreachable',
  'interrupted',
  'base-unknown',
  'store-full',
];

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
