import type { UnixMillis } from '../model/time.ts';
import type { Hold } from './plan.ts';
import type { LineRecord, PlannerState } from './records.ts';
import { stop, type Work } from './work.ts';

/** What keeps a line from collecting: the hold that lasts longest (S66); null if none does. */
export function holdOn(state: PlannerState, { name }: LineRecord): Hold | null {
  let last: Hold | null = null;
  for (const hold of state.holds.values()) {
    if (hold.line !== null && hold.line !== name) continue;
    if (last === null || endOf(hold) > endOf(last)) last = hold;
  }
  return last;
}

const endOf = ({ until }: Hold): UnixMillis => until ?? Infinity;

export function dropEndedHolds(state: PlannerState): void {
  for (const hold of state.holds.values()) if (endOf(hold) <= state.now) state.holds.delete(hold.name);
}

export function nextHoldEnd(state: PlannerState): UnixMillis {
  return Math.min(Infinity, ...[...state.holds.values()].map(endOf));
}

export function setHold({ state, now }: Work, hold: Hold): void {
  state.holds.delete(hold.name);
  if (endOf(hold) > now) state.holds.set(hold.name, hold);
}

/** Stops what may not go on. */
export function stopHeld(work: Work): void {
  const { state } = work;
  for (const hold of state.holds.values()) {
    if (!hold.stops) continue;
    for (const run of state.runs.values()) {
      if (hold.line === null || hold.line === run.client.line.name) stop(work, run, hold.code);
    }
  }
}
