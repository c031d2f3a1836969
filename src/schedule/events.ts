import type { ClientId, SnapshotId } from '../model/ids.ts';
import { backOff, markAbsent, punish } from './backing-off.ts';
import { estimate } from './estimates.ts';
import { noteClosing, noteSetUp } from './handling.ts';
import { releaseHold, setHold } from './holds.ts';
import { leaveLane } from './lanes.ts';
import {
  beginSample,
  countSlow,
  expectedLeave,
  judgeRun,
  learn,
  learnSession,
  takeSample,
} from './learning.ts';
import { quitLine, updateRun, updateUnseen } from './loads.ts';
import {
  clientOf,
  dequeue,
  dropIdleClient,
  dropIdleLine,
  enqueue,
  isFirst,
  lineOf,
  moveClient,
  place,
  placeClient,
  replace,
  setPause,
  setRetry,
} from './placing.ts';
import type { Outcome, PlannedOffer, PlannerEvent } from './plan.ts';
import { ageGroup } from './order.ts';
import { isUrgent } from './rates.ts';
import type { OfferRecord, PlannerState } from './records.ts';
import { estimateLine, setConditions } from './replanning.ts';
import { closedSide, leaveTrack, trackFor } from './tracks.ts';
import { stop, type Work } from './work.ts';

/** What an event means for the state, and whom it stops. Starts come after it. */
export function take(work: Work, event: PlannerEvent): void {
  const { state } = work;
  switch (event.kind) {
    case 'offered':
      return takeOffer(work, event.offer);
    case 'withdrawn':
      return withdraw(work, event.snapshot);
    case 'online':
      return goOnline(work, event.client, event.line);
    case 'offline':
      return goOffline(work, event.client);
    case 'started':
      return markStarted(state, event.snapshot);
    case 'progress':
      return markProgress(work, event.snapshot, event.bytes);
    case 'ended':
      return endRun(work, event.snapshot, event.outcome);
    case 'misbehaved':
      return punish(state, event.client);
    case 'conditions':
      return setConditions(work, event.conditions);
    case 'hold':
      return setHold(work, event.hold);
    case 'release':
      return releaseHold(state, event.name);
    case 'restores':
      return setRestores(work, event.line, event.count);
    case 'learnt':
      return learnFromHistory(state, event);
    case 'tick':
  }
}

function takeOffer(work: Work, offer: PlannedOffer): void {
  const { state, now } = work;
  const known = state.offers.get(offer.snapshot);
  if (known !== undefined && known.offer.client !== offer.client) {
    throw new TypeError('a snapshot has one client');
  }
  const client = clientOf(state, offer.client, offer.line);
  moveClient(work, client, offer.line);
  if (known !== undefined) return offerAgain(work, known, offer);
  const record: OfferRecord = {
    offer,
    client,
    track: trackFor(state.tracks, offer.windows, state.conditions.windows, now),
    age: ageGroup(offer),
    deadline: null,
    due: 0,
    expected: 0,
    needed: 0,
    alone: 0,
    before: 0,
    begun: false,
    failures: 0,
    retryAt: null,
    nightPlace: -1,
    datedPlace: -1,
    leavingPlace: -1,
    duePlace: -1,
    retryPlace: -1,
    lane: null,
  };
  record.track.members.add(record);
  state.offers.set(offer.snapshot, record);
  estimate(state, record);
  const first = client.queues.get(offer.job)?.[0];
  enqueue(record);
  place(state, record);
  // It was withdrawn and is offered again while it is still stopping.
  const stopping = state.runs.get(offer.snapshot);
  if (stopping !== undefined) updateRun(state, stopping);
  if (first === undefined || !isFirst(record)) return;
  place(state, first);
  const run = state.runs.get(first.offer.snapshot);
  if (run !== undefined) stop(work, run, 'after-predecessor');
}

/** The same snapshot once more: its wishes and size may be new; its age, place and back-off are not (S42). */
function offerAgain(work: Work, record: OfferRecord, offer: PlannedOffer): void {
  const { state, now } = work;
  const { job, sequence, offeredAt } = record.offer;
  replace(state, record, () => {
    if (record.track.windows.text !== offer.windows.text) {
      leaveTrack(state.tracks, record);
      record.track = trackFor(state.tracks, offer.windows, state.conditions.windows, now);
      record.track.members.add(record);
    }
    record.offer = { ...offer, job, sequence, offeredAt };
    estimate(state, record);
  });
  const run = state.runs.get(offer.snapshot);
  if (run === undefined) return;
  updateRun(state, run);
  if (!record.track.standing.open) {
    stop(work, run, closedSide(record.track.windows, now));
  }
}

function withdraw(work: Work, snapshot: SnapshotId): void {
  const run = work.state.runs.get(snapshot);
  if (run !== undefined) stop(work, run, 'withdrawn');
  remove(work.state, snapshot);
  if (run !== undefined) updateRun(work.state, run);
}

function remove(state: PlannerState, snapshot: SnapshotId): void {
  const record = state.offers.get(snapshot);
  if (record === undefined) return;
  state.offers.delete(snapshot);
  leaveLane(state, record);
  leaveTrack(state.tracks, record);
  setRetry(state, record, null);
  const first = dequeue(record);
  if (first !== undefined) place(state, first);
  dropIdleClient(state, record.client);
}

/** A new connection is a new chance for who was absent; for who misbehaved it is not. */
function goOnline(work: Work, id: ClientId, line: string | null | undefined): void {
  const { state } = work;
  const client = clientOf(state, id, line ?? null);
  if (line !== undefined) moveClient(work, client, line);
  if (!client.online) {
    client.since = state.now;
    client.leaves = expectedLeave(state, client);
    client.line.slackUntil = -Infinity;
  }
  client.online = true;
  if (client.pause?.code === 'client-absent') setPause(state, client, null);
  placeClient(state, client);
}

function goOffline(work: Work, id: ClientId): void {
  const { state } = work;
  const client = state.clients.get(id);
  if (client === undefined) return;
  if (client.online) learnSession(state, client);
  client.online = false;
  placeClient(state, client);
  if (client.run !== null) stop(work, client.run, 'client-offline');
  dropIdleClient(state, client);
}

function markStarted(state: PlannerState, snapshot: SnapshotId): void {
  const run = state.runs.get(snapshot);
  if (run === undefined) return;
  run.client.absences = 0;
  run.begun = true;
  const record = state.offers.get(snapshot);
  if (run.phase !== 'ordered' || record === undefined) return;
  run.phase = 'running';
  if (state.learns) noteSetUp(state, run);
  beginSample(run, record.offer.bytes, state.now);
}

function markProgress(work: Work, snapshot: SnapshotId, bytes: number): void {
  const { state } = work;
  const record = state.offers.get(snapshot);
  if (record === undefined) return;
  const run = state.runs.get(snapshot);
  if (run !== undefined) {
    run.begun ||= bytes < record.offer.bytes;
    // What had arrived may turn out not to be durable.
    run.progressed = bytes < run.from;
    run.lastByteAt = bytes > 0 ? null : (run.lastByteAt ?? state.now);
    takeSample(state, run, bytes);
    estimateLine(state, run.client.line.name);
  }
  replace(state, record, () => {
    record.begun ||= run?.progressed === true;
    record.offer = { ...record.offer, bytes };
    estimate(state, record);
  });
  if (run === undefined) return;
  const { wanted, usable } = run;
  updateRun(state, run);
  const turned = run.urgent !== isUrgent(state, run);
  if (turned || wanted !== run.wanted || (run.urgent && usable !== run.usable))
    work.touched.add(run.client.line);
}

function endRun(work: Work, snapshot: SnapshotId, outcome: Outcome): void {
  const { state } = work;
  const run = state.runs.get(snapshot);
  const record = state.offers.get(snapshot);
  if (run !== undefined) {
    takeSample(state, run, outcome === 'committed' ? 0 : (record?.offer.bytes ?? 0));
    judgeRun(state, run);
    estimateLine(state, run.client.line.name);
    state.runs.delete(snapshot);
    run.client.run = null;
    quitLine(state, run.client.line, run);
    work.touched.add(run.client.line);
    const absent = outcome === 'failed' && !run.begun && run.phase === 'ordered';
    if (absent) markAbsent(state, run.client);
    else if (record !== undefined && outcome !== 'committed') backOff(work, record, run, outcome);
  }
  if (outcome === 'committed') {
    if (run !== undefined) {
      run.client.offences = 0;
      if (state.learns) noteClosing(state, run);
    }
    remove(state, snapshot);
  } else if (record !== undefined && run !== undefined) {
    replace(state, record, () => estimate(state, record));
  }
  if (run === undefined) return;
  placeClient(state, run.client);
  dropIdleClient(state, run.client);
}

function setRestores(work: Work, name: string | null, count: number): void {
  const line = lineOf(work.state, name);
  work.state.restoring += Number(count > 0) - Number(line.restores > 0);
  line.restores = Math.max(0, count);
  work.ratesChanged = true;
  dropIdleLine(work.state, line);
}

function learnFromHistory(state: PlannerState, event: PlannerEvent & { readonly kind: 'learnt' }): void {
  if (event.session !== undefined) state.learnt.sessions.set(event.client, event.session);
  if (!(event.bytesPerSecond > 0)) return;
  learn(state, event.client, event.line, event.bytesPerSecond);
  countSlow(state, event.line, true);
  updateUnseen(state, state.lines.get(event.line));
  estimateLine(state, event.line);
  const client = state.clients.get(event.client);
  if (client === undefined) return;
  for (const queue of client.queues.values()) {
    for (const record of queue) replace(state, record, () => estimate(state, record));
  }
  if (client.run !== null) updateRun(state, client.run);
}
