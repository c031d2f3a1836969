import { Bell } from '../model/bell.ts';
import type { SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { type Forecast, forecast, type ForecastAsk } from '../schedule/forecast.ts';
import type { PlannerEvent, Reason, Reasons, Step } from '../schedule/plan.ts';
import { newPlanner, type PlannerState, step } from '../schedule/planner.ts';
import type { Clock } from '../world/ports.ts';
import { plannerConditions } from './conditions.ts';
import type { Conditions } from './parts.ts';

/** What the planner wants done. */
export type Grants = Pick<Step<PlannerState>, 'grants' | 'rates'>;

/** The planner at work: the only one who tells it anything and has its grants carried out. */
export class Planning {
  readonly #clock: Clock;
  readonly #carryOut: (grants: Grants) => void;
  #planner: PlannerState;
  #reasons: Reasons;
  #nextChange: UnixMillis | null = null;
  /** What the planner has still to be told, in order: an event may come up while another is carried out. */
  readonly #events: PlannerEvent[] = [];
  #telling = false;
  readonly #bell = new Bell();
  /** Events that were told so far, those of time alone left out. */
  changes = 0;

  /** @throws LowtideError `bad-schedule`, `bad-zone` */
  constructor(clock: Clock, conditions: Conditions, carryOut: (grants: Grants) => void) {
    this.#clock = clock;
    this.#carryOut = carryOut;
    const now = clock.now();
    this.#planner = newPlanner(plannerConditions(conditions), now);
    this.#reasons = step(this.#planner, { kind: 'tick' }, now).reasons;
  }

  /**
   * Carries out what it grants: all of one answer before the next event, because what an event brings about may be about
   * grants that have not been carried out yet.
   */
  tell(event: PlannerEvent): void {
    this.#events.push(event);
    if (event.kind !== 'tick') {
      this.changes++;
      this.#bell.ring();
    }
    if (this.#telling) return;
    this.#telling = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        this.#carryOut(this.#step(next));
      }
    } finally {
      this.#telling = false;
    }
  }

  /** Ends a `pause`. */
  wake(): void {
    this.#bell.ring();
  }

  #step(event: PlannerEvent): Step<PlannerState> {
    const result = step(this.#planner, event, this.#clock.now());
    this.#planner = result.state;
    this.#nextChange = result.nextChange;
    this.#reasons = result.reasons;
    return result;
  }

  /** Until it is told something, or would answer otherwise by itself, but at most so long. */
  async pause(atMost: number, stop: AbortSignal): Promise<void> {
    const untilChange =
      this.#nextChange === null ? atMost : Math.max(0, this.#nextChange - this.#clock.now());
    const ms = Math.min(atMost, untilChange);
    await this.#bell.waitWithin((until) => this.#clock.sleep(ms, until), stop);
  }

  /** Why each outstanding snapshot is where it is. */
  reasons(): readonly Reason[] {
    return [...this.#reasons];
  }

  reasonFor(snapshot: SnapshotId): Reason | null {
    return this.#reasons.get(snapshot) ?? null;
  }

  /** Snapshots that are not collected yet. */
  get outstanding(): number {
    return this.#reasons.size;
  }

  /** What is expected to happen (S70). Costs as much as the night that it plays: not for a large queue in passing. */
  forecast(ask: ForecastAsk): Forecast {
    return forecast(this.#planner, this.#clock.now(), ask);
  }

  /** An independent planner as it is now. */
  copy(): PlannerState {
    return structuredClone(this.#planner);
  }
}
