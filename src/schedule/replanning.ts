import { countShared, estimate } from './estimates.ts';
import { BACK_OFF_LAST_MS } from './backing-off.ts';
import { clearLanes, leaveLane, turnLanes } from './lanes.ts';
import { isLearntAnew } from './learning.ts';
import { forgetSlack, updateAll } from './loads.ts';
import { place, refreshRates, setPause, setRetry } from './placing.ts';
import type { CenterConditions } from './plan.ts';
import type { RatePlan } from './rate-plan.ts';
import type { PlannerState, Track } from './records.ts';
import { closedSide, refreshTrack } from './tracks.ts';
import { stop, type Work } from './work.ts';

export function setConditions(work: Work, conditions: CenterConditions): void {
  const { state } = work;
  const before = state.conditions;
  state.conditions = conditions;
  work.ratesChanged = true;
  const sameWindows = before.windows.text === conditions.windows.text;
  const sameRates = haveSameRates(before, conditions);
  if (!sameRates) refreshRates(state);
  if (sameWindows && sameRates) return;
  if (!sameWindows) {
    for (const track of state.tracks.all.values()) {
      track.timeline = null;
      refreshTrack(state.tracks, track, conditions.windows, state.now);
    }
  }
  estimateAll(state);
  stopWhereClosed(work);
}

/** Everybody's place may be another: all leave before the first comes back. */
function estimateAll(state: PlannerState): void {
  clearLanes(state);
  for (const record of state.offers.values()) {
    estimate(state, record);
    place(state, record);
  }
  updateAll(state);
}

/** Rates have changed by the time of the day. */
export function renewRates(work: Work): void {
  const { state } = work;
  if (!refreshRates(state)) return;
  work.ratesChanged = true;
  estimateAll(state);
}

function haveSameRates(a: CenterConditions, b: CenterConditions): boolean {
  return (
    a.rate.text === b.rate.text &&
    a.clientRate.text === b.clientRate.text &&
    haveSameTexts(a.lines, b.lines) &&
    haveSameTexts(a.clientRates, b.clientRates)
  );
}

function haveSameTexts<Key>(a: ReadonlyMap<Key, RatePlan>, b: ReadonlyMap<Key, RatePlan>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, { text }] of a) if (b.get(key)?.text !== text) return false;
  return true;
}

/** After something was learnt of a line: what it means for those of its clients that were never seen (S54). */
export function estimateLine(state: PlannerState, name: string | null): void {
  if (!isLearntAnew(state, name)) return;
  for (const record of state.offers.values()) {
    const { id, line } = record.client;
    if (line.name !== name || state.learnt.clients.has(id)) continue;
    leaveLane(state, record);
    estimate(state, record);
    place(state, record);
  }
  forgetSlack(state);
}

/** S49: nothing that was worked out from the old time holds, and nobody backs off for longer. */
export function turnBack(work: Work): void {
  const { state, now } = work;
  for (const track of state.tracks.all.values()) {
    if (track.timeline !== null && now < track.timeline.from) countAnew(state, track);
    refresh(work, track);
  }
  const latest = now + BACK_OFF_LAST_MS;
  for (const record of state.retries.items.slice()) {
    if (record.retryAt! > latest) setRetry(state, record, latest);
  }
  for (const client of state.pauses.items.slice()) {
    if (client.pause!.until > latest) setPause(state, client, { ...client.pause!, until: latest });
  }
  renewRates(work);
}

function countAnew(state: PlannerState, track: Track): void {
  const dated = [...track.members].filter(({ deadline }) => deadline !== null);
  for (const record of dated) leaveLane(state, record);
  track.timeline = null;
  for (const record of dated) {
    countShared(state, record);
    place(state, record);
  }
}

/** Works out anew how the windows stand, and what that means for those that wait. */
export function refresh(work: Work, track: Track): void {
  refreshTrack(work.state.tracks, track, work.state.conditions.windows, work.now);
  turnLanes(work.state, track);
  forgetSlack(work.state);
}

export function stopWhereClosed(work: Work): void {
  const { state, now } = work;
  for (const run of state.runs.values()) {
    const track = state.offers.get(run.snapshot)?.track;
    if (track !== undefined && !track.standing.open) stop(work, run, closedSide(track.windows, now));
  }
}
