import { MINUTE_MS } from '../model/time.ts';

const ADDRESSES_MAX = 1000;

/** Counts what failed from each address in the last minute: nobody guesses tokens here in peace (faults 24). */
export class JoinGuard {
  readonly #perMinute: number;
  readonly #failures = new Map<string, { since: number; count: number }>();

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** @param now of a clock that never goes back */
  mayTry(address: string, now: number): boolean {
    const seen = this.#failures.get(address);
    return seen === undefined || now - seen.since > MINUTE_MS || seen.count < this.#perMinute;
  }

  /** @returns true at the one failure that closes the door to this address for now */
  failed(address: string, now: number): boolean {
    const seen = this.#failures.get(address);
    const fresh = seen === undefined || now - seen.since > MINUTE_MS;
    const count = fresh ? 1 : seen.count + 1;
    this.#failures.delete(address);
    if (this.#failures.size >= ADDRESSES_MAX) this.#failures.delete(this.#failures.keys().next().value!);
    this.#failures.set(address, { since: fresh ? now : seen.since, count });
    return count === this.#perMinute;
  }
}
