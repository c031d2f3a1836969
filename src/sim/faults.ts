import { refusal, type Refusal } from './refusal.ts';

/** A fault to come: the operations of one kind fail. */
export interface FaultRule {
  /** As in the list of operations, or its beginning: `disk.write`, `disk.`, `database.commit`, `files.read`. */
  readonly kind: string;
  /** Only of paths that contain this. */
  readonly path?: string;
  /** How many matching operations go well first. */
  readonly skip?: number;
  /** How many fail then; Infinity until the rule is lifted. */
  readonly times?: number;
  readonly error?: Refusal;
}

/** A rule in force: how often it has struck, and the way to lift it. */
export interface Fault {
  readonly hits: number;
  lift(): void;
}

/** The faults that a scenario has ordered for one machine. */
export class Faults {
  readonly #rules = new Set<{ readonly rule: FaultRule; seen: number; hits: number }>();

  inject(rule: FaultRule): Fault {
    const entry = { rule, seen: 0, hits: 0 };
    this.#rules.add(entry);
    return {
      get hits() {
        return entry.hits;
      },
      lift: () => void this.#rules.delete(entry),
    };
  }

  /** Throws the system error that the operation gets, if a rule wants it to fail. */
  check(kind: string, path: string): void {
    for (const entry of this.#rules) {
      const { skip = 0, times = 1, error = 'EIO', path: part = '' } = entry.rule;
      if (!kind.startsWith(entry.rule.kind) || !path.includes(part)) continue;
      entry.seen++;
      if (entry.seen <= skip || entry.hits >= times) continue;
      entry.hits++;
      throw refusal(error, `${kind} ${path}`);
    }
  }
}
