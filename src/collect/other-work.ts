import type { PlannerEvent } from '../schedule/plan.ts';
import type { CollectorParts, Conditions } from './parts.ts';
import { holdOf, type Reading, WATCH_EVERY_MS, Watches } from './watches.ts';

/** What else goes on at the node and makes collecting wait: restores that people wait for, and what is measured (S65, S66). */
export class OtherWork {
  readonly #parts: CollectorParts;
  readonly #tell: (event: PlannerEvent) => void;
  /** Restores under way, by line. */
  readonly #restores = new Map<string | null, number>();
  readonly #watches: Watches;
  /** Of what is measured: what holds collecting. */
  #holding = new Set<string>();
  #looked = -Infinity;
  #underWay: Promise<void> | null = null;
  readonly #stop = new AbortController();

  constructor(parts: CollectorParts, tell: (event: PlannerEvent) => void) {
    this.#parts = parts;
    this.#tell = tell;
    this.#watches = new Watches(parts);
  }

  /** Somebody waits for bytes over this line: collecting makes room (S65). Call what it answers when that is over. */
  restoring(line: string | null): () => void {
    this.#count(line, 1);
    return () => this.#count(line, -1);
  }

  get readings(): readonly Reading[] {
    return this.#watches.readings;
  }

  /** At the next `watch`, whenever that is: conditions are others now. */
  lookSoon(): void {
    this.#looked = -Infinity;
  }

  /** Looks at everything anew if the last time is long enough ago; one look at a time. */
  async watch(conditions: Conditions): Promise<void> {
    const now = this.#parts.world.clock.monotonic();
    if (this.#underWay === null && now - this.#looked < WATCH_EVERY_MS) return;
    this.#looked = now;
    this.#underWay ??= this.#look(conditions).finally(() => (this.#underWay = null));
    await this.#underWay;
  }

  /** Ends what is being asked. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#underWay;
  }

  async #look(conditions: Conditions): Promise<void> {
    const readings = await this.#watches.look(conditions, this.#stop.signal);
    const holding = readings.filter(({ holds }) => holds);
    const { monitor } = this.#parts.world;
    for (const reading of holding) {
      if (this.#holding.has(reading.name)) continue;
      const { name, code, text } = reading;
      monitor.event({ kind: 'holding', name, code, text });
      this.#tell({ kind: 'hold', hold: holdOf(reading) });
    }
    const names = new Set(holding.map(({ name }) => name));
    for (const name of this.#holding.difference(names)) {
      monitor.event({ kind: 'resumed', name });
      this.#tell({ kind: 'release', name });
    }
    this.#holding = names;
  }

  #count(line: string | null, change: number): void {
    const count = (this.#restores.get(line) ?? 0) + change;
    if (count === 0) this.#restores.delete(line);
    else this.#restores.set(line, count);
    this.#tell({ kind: 'restores', line, count });
  }
}
