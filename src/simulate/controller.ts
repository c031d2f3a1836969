import type { UnixMillis } from '../model/time.ts';
import type { CenterConditions, PlannerEvent, Step } from '../schedule/plan.ts';
import { newPlanner, step } from '../schedule/planner.ts';

/** Who shall send, and how fast: what a planner's step says without its reasons. */
export type Decision = Pick<Step<unknown>, 'grants' | 'rates' | 'nextChange'>;

/** Whoever decides in a simulated night: the planner, or another way to compare it with. */
export interface Controller {
  tell(event: PlannerEvent, now: UnixMillis): Decision;
}

/** The planner that centers use. */
export function plannerController(conditions: CenterConditions, from: UnixMillis): Controller {
  let state = newPlanner(conditions, from);
  return {
    tell(event, now) {
      const result = step(state, event, now);
      state = result.state;
      return result;
    },
  };
}
