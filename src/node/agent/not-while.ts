import { askWhether, WATCH_EVERY_MS } from '../../collect/watches.ts';
import type { World } from '../../world/ports.ts';

export interface NotWhileParts {
  readonly world: World;
  /** Programs with their arguments, as they are set now. */
  readonly programs: () => readonly (readonly string[])[];
  /** Whether there is anything to send: else nobody is asked. */
  readonly waits: () => Promise<boolean>;
  /** Called when something is to be sent again, or not any more. */
  readonly onChange: () => void;
}

/** A machine's owner lets nothing be sent while one of these programs ends with status 0 (scheduling S77). */
export class NotWhile {
  readonly #parts: NotWhileParts;
  #says: string | null = null;
  #looked = -Infinity;
  #underWay: Promise<void> | null = null;
  /** What could not say anything: an alarm for each, once. */
  readonly #failed = new Set<string>();
  #stop = new AbortController().signal;

  constructor(parts: NotWhileParts) {
    this.#parts = parts;
  }

  /** The program that says so, with its arguments; null if none does, as far as is known. */
  get says(): string | null {
    return this.#says;
  }

  /** Asks if the last time is long enough ago. */
  async holds(): Promise<boolean> {
    const { clock } = this.#parts.world;
    if (this.#underWay === null && clock.monotonic() - this.#looked >= WATCH_EVERY_MS) {
      this.#looked = clock.monotonic();
      this.#underWay = this.#look().finally(() => (this.#underWay = null));
    }
    await this.#underWay;
    return this.#says !== null;
  }

  async run(stop: AbortSignal): Promise<void> {
    this.#stop = stop;
    const { world, waits, onChange, programs } = this.#parts;
    while (!stop.aborted) {
      // Where no programs are set nothing needs to look often: only people may set some.
      const isIdle = programs().length === 0 && this.#says === null;
      await world.clock.sleep(isIdle ? world.limits.plan_interval_ms : WATCH_EVERY_MS, stop);
      if (stop.aborted || isIdle) continue;
      const before = this.#says;
      if (await waits()) await this.holds();
      if (before !== this.#says && !stop.aborted) onChange();
    }
    await this.#underWay;
  }

  async #look(): Promise<void> {
    const { world, programs } = this.#parts;
    for (const words of programs()) {
      const name = words.join(' ');
      const { yes, how } = await askWhether(world, words, this.#stop);
      if (yes === true) {
        this.#says = name;
        return;
      }
      if (yes !== null) this.#failed.delete(name);
      else if (!this.#failed.has(name) && !this.#stop.aborted) {
        this.#failed.add(name);
        const message = `${name} does not say whether sending has to wait: ${how}; it does not wait`;
        world.monitor.event({ kind: 'alarm', code: 'hook-failed', message });
      }
    }
    this.#says = null;
  }
}
