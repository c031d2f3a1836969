import type { PlannerEvent } from '../schedule/plan.ts';
import { FREE_SPACE, spaceHold } from './conditions.ts';
import type { CollectorParts, Conditions } from './parts.ts';

/** What else goes on at the node and makes collecting wait: restores that people wait for, a disk without room. */
export class OtherWork {
  readonly #parts: CollectorParts;
  readonly #tell: (event: PlannerEvent) => void;
  /** Restores under way, by line. */
  readonly #restores = new Map<string | null, number>();
  #isFull = false;

  constructor(parts: CollectorParts, tell: (event: PlannerEvent) => void) {
    this.#parts = parts;
    this.#tell = tell;
  }

  /** Somebody waits for bytes over this line: collecting makes room (S65). Call what it answers when that is over. */
  restoring(line: string | null): () => void {
    this.#count(line, 1);
    return () => this.#count(line, -1);
  }

  /** S66. */
  async watchSpace(conditions: Conditions): Promise<void> {
    const hold = await spaceHold(this.#parts, conditions);
    if ((hold !== null) === this.#isFull) return;
    this.#isFull = hold !== null;
    this.#tell(hold === null ? { kind: 'release', name: FREE_SPACE } : { kind: 'hold', hold });
  }

  #count(line: string | null, change: number): void {
    const count = (this.#restores.get(line) ?? 0) + change;
    if (count === 0) this.#restores.delete(line);
    else this.#restores.set(line, count);
    this.#tell({ kind: 'restores', line, count });
  }
}
