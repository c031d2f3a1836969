import type { UnixMillis } from '../model/time.ts';
import { choose, nextUrgency, stopSurplus } from './choosing.ts';
import { take } from './events.ts';
import { heapTop } from './heap.ts';
import { dropEndedHolds, nextHoldEnd, stopHeld } from './holds.ts';
import { dropIdleClient, place, placeClient, setPause, setRetry } from './placing.ts';
import type { PlannerEvent, Step } from './plan.ts';
import { shareRates } from './rates.ts';
import { reasonsOf } from './reasons.ts';
import type { PlannerState } from './records.ts';
import { refresh, renewRates, stopWhereClosed, turnBack } from './replanning.ts';
import { dueTrack } from './tracks.ts';
import type { Work } from './work.ts';

export { BACK_OFF_FIRST_MS, BACK_OFF_LAST_MS } from './backing-off.ts';
export { newPlanner } from './planner-state.ts';
export type { PlannerState } from './records.ts';
export type PlannerStep = Step<PlannerState>;

/**
 * The collection planner (docs/scheduling.md S40-S69): who shall send now, and how fast. Pure but for `state`, which it
 * owns: it is changed in place and returned. Call it with every event, and with `tick` at `nextChange`.
 * @param now the center's clock; when it goes back, every window is looked at again
 */
export function step(state: PlannerState, event: PlannerEvent, now: UnixMillis): PlannerStep {
  const work: Work = { state, now, stops: [], starts: [], ratesChanged: false, touched: new Set() };
  advance(work);
  take(work, event);
  stopHeld(work);
  stopSurplus(work);
  choose(work);
  return {
    state,
    grants: [...work.stops, ...work.starts],
    rates: shareRates(work),
    reasons: reasonsOf(state),
    nextChange: nextChange(state),
  };
}

function nextChange(state: PlannerState): UnixMillis | null {
  const earliest = Math.min(
    heapTop(state.tracks.changes)?.standing.changesAt ?? Infinity,
    heapTop(state.retries)?.retryAt ?? Infinity,
    heapTop(state.pauses)?.pause?.until ?? Infinity,
    nextHoldEnd(state),
    state.ratesUntil,
    nextUrgency(state),
  );
  return earliest === Infinity ? null : earliest;
}

function advance(work: Work): void {
  const { state, now } = work;
  const back = now < state.now;
  state.now = now;
  if (back) turnBack(work);
  let turned = back;
  for (let due = dueTrack(state.tracks, now); due !== undefined; due = dueTrack(state.tracks, now)) {
    refresh(work, due);
    turned = true;
  }
  if (turned) stopWhereClosed(work);
  dropEndedHolds(state);
  if (state.ratesUntil <= now) renewRates(work);
  endBackOffs(state);
}

function endBackOffs(state: PlannerState): void {
  for (let due = heapTop(state.retries); due !== undefined && due.retryAt! <= state.now;) {
    setRetry(state, due, null);
    place(state, due);
    due = heapTop(state.retries);
  }
  for (let due = heapTop(state.pauses); due !== undefined && due.pause!.until <= state.now;) {
    setPause(state, due, null);
    placeClient(state, due);
    dropIdleClient(state, due);
    due = heapTop(state.pauses);
  }
}
