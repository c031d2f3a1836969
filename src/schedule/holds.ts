import type { UnixMillis } from '../model/time.ts';
import { placeClient } from './placing.ts';
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

const allHolds = ({ holds, heldBack }: PlannerState): Hold[] => [...holds.values(), ...heldBack.values()];

export function dropEndedHolds(state: PlannerState): void {
  for (const hold of allHolds(state)) if (endOf(hold) <= state.now) drop(state, hold);
}

export function nextHoldEnd(state: PlannerState): UnixMillis {
  return Math.min(Infinity, ...allHolds(state).map(endOf));
}

/** Instead of the one of the same name, and of the same client. */
export function setHold({ state, now }: Work, hold: Hold): void {
  releaseHold(state, hold.name);
  if (endOf(hold) <= now) return;
  if (hold.client === undefined) state.holds.set(hold.name, hold);
  else state.heldBack.set(hold.client, hold);
  replaceClient(state, hold);
}

export function releaseHold(state: PlannerState, name: string): void {
  for (const hold of allHolds(state)) if (hold.name === name) drop(state, hold);
}

function drop(state: PlannerState, hold: Hold): void {
  if (hold.client === undefined) state.holds.delete(hold.name);
  else state.heldBack.delete(hold.client);
  replaceClient(state, hold);
}

function replaceClient(state: PlannerState, { client }: Hold): void {
  const record = client === undefined ? undefined : state.clients.get(client);
  if (record !== undefined) placeClient(state, record);
}

/** Stops what may not go on. */
export function stopHeld(work: Work): void {
  const { runs, holds, heldBack } = work.state;
  for (const run of runs.values()) {
    const { id, line } = run.client;
    for (const hold of holds.values()) {
      if (hold.stops && (hold.line === null || hold.line === line.name)) stop(work, run, hold.code);
    }
    const own = heldBack.get(id);
    if (own?.stops === true) stop(work, run, own.code);
  }
}
