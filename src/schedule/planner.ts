import type { ClientId, SnapshotId } from '../model/ids.ts';
import { HOUR_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import { heapTop } from './heap.ts';
import type {
  CenterConditions,
  Grant,
  Outcome,
  PlannedOffer,
  PlannerEvent,
  Rate,
  Step,
  StopCode,
} from './plan.ts';
import {
  clientOf,
  dequeue,
  dropIdleClient,
  enqueue,
  goesBefore,
  isFirst,
  rearrange,
  setRetry,
  settle,
  type OfferRecord,
  type PlannerState,
  type Run,
} from './planner-state.ts';
import { reasonsOf } from './reasons.ts';
import { closedSide, dueTrack, leaveTrack, refreshTrack, trackFor, type Track } from './tracks.ts';

export { newPlanner, type PlannerState } from './planner-state.ts';
export type PlannerStep = Step<PlannerState>;

export const BACK_OFF_FIRST_MS = 30 * SECOND_MS;
export const BACK_OFF_LAST_MS = HOUR_MS;

const NO_RATES: readonly Rate[] = [];

/** One step's work. Grants are collected in two lists so that stops come first. */
interface Work {
  readonly state: PlannerState;
  readonly now: UnixMillis;
  readonly stops: Grant[];
  readonly starts: Grant[];
}

/**
 * The collection planner (docs/scheduling.md S40-S53): who shall send now. Pure but for `state`, which it owns: it is
 * changed in place and returned. Call it with every event, and with `tick` at `nextChange`.
 * @param now the center's clock; when it goes back, every window is looked at again
 */
export function step(state: PlannerState, event: PlannerEvent, now: UnixMillis): PlannerStep {
  const work: Work = { state, now, stops: [], starts: [] };
  advance(work);
  take(work, event);
  stopSurplus(work);
  startWhatCan(work);
  return {
    state,
    grants: [...work.stops, ...work.starts],
    rates: NO_RATES,
    reasons: reasonsOf(state),
    nextChange: nextChange(state),
  };
}

function nextChange(state: PlannerState): UnixMillis | null {
  const window = heapTop(state.tracks.changes)?.standing.changesAt ?? Infinity;
  const retry = heapTop(state.retries)?.retryAt ?? Infinity;
  const earliest = Math.min(window, retry);
  return earliest === Infinity ? null : earliest;
}

function advance(work: Work): void {
  const { state, now } = work;
  if (now < state.now) turnBack(work);
  state.now = now;
  for (let due = dueTrack(state.tracks, now); due !== undefined; due = dueTrack(state.tracks, now)) {
    refresh(work, due);
  }
  for (let due = heapTop(state.retries); due !== undefined && due.retryAt! <= now;) {
    setRetry(state, due, null);
    settle(state, due);
    due = heapTop(state.retries);
  }
}

/** The clock was corrected: nothing that was worked out from the old time holds, and nobody backs off for longer. */
function turnBack(work: Work): void {
  const { state, now } = work;
  for (const track of state.tracks.all.values()) refresh(work, track);
  for (const record of state.retries.items.slice()) {
    setRetry(state, record, Math.min(record.retryAt!, now + BACK_OFF_LAST_MS));
  }
}

/** Works out anew how the windows stand, and what that means for each that has them. */
function refresh(work: Work, track: Track<OfferRecord>): void {
  const { state, now } = work;
  refreshTrack(state.tracks, track, state.conditions.windows, now);
  for (const record of track.members) {
    settle(state, record);
    stopIfClosed(work, record);
  }
}

function stopIfClosed(work: Work, record: OfferRecord): void {
  const run = work.state.runs.get(record.offer.snapshot);
  if (run === undefined || record.track.standing.open) return;
  stop(work, run, closedSide(record.track.windows, work.now));
}

function stop(work: Work, run: Run, code: StopCode): void {
  if (run.phase === 'stopping') return;
  run.phase = 'stopping';
  work.stops.push({ kind: 'stop', snapshot: run.snapshot, client: run.client.id, code });
}

function take(work: Work, event: PlannerEvent): void {
  switch (event.kind) {
    case 'offered':
      return takeOffer(work, event.offer);
    case 'withdrawn':
      return withdraw(work, event.snapshot);
    case 'online':
      return setOnline(work, event.client, true);
    case 'offline':
      return setOnline(work, event.client, false);
    case 'started':
      return markStarted(work.state, event.snapshot);
    case 'progress':
      return markProgress(work.state, event.snapshot, event.bytes);
    case 'ended':
      return endRun(work, event.snapshot, event.outcome);
    case 'conditions':
      return setConditions(work, event.conditions);
    case 'misbehaved':
    case 'hold':
    case 'release':
    case 'restores':
    case 'learnt':
    case 'tick':
  }
}

function takeOffer(work: Work, offer: PlannedOffer): void {
  const { state, now } = work;
  const known = state.offers.get(offer.snapshot);
  if (known !== undefined) return offerAgain(work, known, offer);
  const client = clientOf(state, offer.client);
  const track = trackFor(state.tracks, offer.windows, state.conditions.windows, now);
  const record: OfferRecord = { offer, client, track, closes: null, failures: 0, retryAt: null };
  track.members.add(record);
  state.offers.set(offer.snapshot, record);
  const first = client.queues.get(offer.job)?.[0];
  enqueue(record);
  settle(state, record);
  if (first === undefined || !isFirst(record)) return;
  settle(state, first);
  const run = state.runs.get(first.offer.snapshot);
  if (run !== undefined) stop(work, run, 'after-predecessor');
}

/** The same snapshot once more: its wishes and size may be new; its age, place and back-off are not (S42). */
function offerAgain(work: Work, record: OfferRecord, offer: PlannedOffer): void {
  const { state, now } = work;
  if (record.offer.client !== offer.client) throw new TypeError('a snapshot has one client');
  if (record.track.windows.text !== offer.windows.text) {
    leaveTrack(state.tracks, record, record.track);
    record.track = trackFor(state.tracks, offer.windows, state.conditions.windows, now);
    record.track.members.add(record);
  }
  record.offer = { ...record.offer, bytes: offer.bytes, windows: offer.windows };
  settle(state, record);
  stopIfClosed(work, record);
}

function withdraw(work: Work, snapshot: SnapshotId): void {
  const run = work.state.runs.get(snapshot);
  if (run !== undefined) stop(work, run, 'withdrawn');
  remove(work.state, snapshot);
}

function remove(state: PlannerState, snapshot: SnapshotId): void {
  const record = state.offers.get(snapshot);
  if (record === undefined) return;
  state.offers.delete(snapshot);
  leaveTrack(state.tracks, record, record.track);
  setRetry(state, record, null);
  const first = dequeue(record);
  settle(state, record);
  if (first !== undefined) settle(state, first);
  dropIdleClient(state, record.client);
}

function setOnline(work: Work, id: ClientId, online: boolean): void {
  const client = clientOf(work.state, id);
  rearrange(work.state, client, () => (client.online = online));
  if (!online && client.run !== null) stop(work, client.run, 'client-offline');
  dropIdleClient(work.state, client);
}

function markStarted(state: PlannerState, snapshot: SnapshotId): void {
  const run = state.runs.get(snapshot);
  if (run?.phase === 'ordered') run.phase = 'running';
}

function markProgress(state: PlannerState, snapshot: SnapshotId, bytes: number): void {
  const record = state.offers.get(snapshot);
  if (record === undefined) return;
  const run = state.runs.get(snapshot);
  if (run !== undefined && bytes < record.offer.bytes) run.progressed = true;
  record.offer = { ...record.offer, bytes };
}

function endRun(work: Work, snapshot: SnapshotId, outcome: Outcome): void {
  const { state } = work;
  const run = state.runs.get(snapshot);
  const record = state.offers.get(snapshot);
  if (run !== undefined) {
    rearrange(state, run.client, () => {
      state.runs.delete(snapshot);
      run.client.run = null;
    });
    if (record !== undefined && outcome !== 'committed') backOff(work, record, run, outcome);
  }
  if (outcome === 'committed') remove(state, snapshot);
  else if (record !== undefined) settle(state, record);
  if (run !== undefined) dropIdleClient(state, run.client);
}

/** S47: a failure waits longer each time; a pause that nobody ordered waits a little; an ordered one not at all. */
function backOff(work: Work, record: OfferRecord, run: Run, outcome: 'paused' | 'failed'): void {
  const { state, now } = work;
  if (run.progressed) record.failures = 0;
  if (outcome === 'failed') record.failures++;
  else if (run.phase === 'stopping') return;
  const doublings = Math.min(Math.max(record.failures - 1, 0), 16);
  const delay = outcome === 'paused' ? BACK_OFF_FIRST_MS : BACK_OFF_FIRST_MS * 2 ** doublings;
  setRetry(state, record, now + Math.min(delay, BACK_OFF_LAST_MS));
}

function setConditions(work: Work, conditions: CenterConditions): void {
  const { state } = work;
  const sameWindows = state.conditions.windows.text === conditions.windows.text;
  state.conditions = conditions;
  if (sameWindows) return;
  for (const track of state.tracks.all.values()) refresh(work, track);
}

/** After the streams became fewer: those that would be started last are stopped. */
function stopSurplus(work: Work): void {
  const { state } = work;
  if (state.runs.size <= state.conditions.streams) return;
  const going = [...state.runs.values()].filter(({ phase }) => phase !== 'stopping');
  const surplus = going.length - state.conditions.streams;
  if (surplus <= 0) return;
  const recordOf = (run: Run): OfferRecord => state.offers.get(run.snapshot)!;
  going.sort((a, b) => (goesBefore(recordOf(a), recordOf(b)) ? 1 : -1));
  for (const run of going.slice(0, surplus)) stop(work, run, 'streams-busy');
}

function startWhatCan(work: Work): void {
  const { state } = work;
  while (state.runs.size < state.conditions.streams) {
    const client = heapTop(state.startable);
    if (client === undefined) return;
    const record = heapTop(client.ready)!;
    const { snapshot } = record.offer;
    const run: Run = { snapshot, client, phase: 'ordered', progressed: false };
    rearrange(state, client, () => {
      state.runs.set(snapshot, run);
      client.run = run;
    });
    settle(state, record);
    work.starts.push({ kind: 'start', snapshot, client: client.id, until: record.closes });
  }
}
