import { HOUR_MS, MINUTE_MS, type UnixMillis } from '../model/time.ts';
import { heapAdd, heapRemove, heapTop, newHeap } from './heap.ts';
import { holdOn } from './holds.ts';
import { bestOf } from './lanes.ts';
import { dueBefore, goesBefore, spareTime, urgency } from './order.ts';
import { placeClient } from './placing.ts';
import { isRestoring, joinLine, leftOver, lineCapacity, slackestOn, standing } from './loads.ts';
import type { LineRecord, OfferRecord, PlannerState, Run } from './records.ts';
import { stop, type Work } from './work.ts';

/** Who has less in spare than this is pre-empting others that have a little more. */
const URGENT_MS = 15 * MINUTE_MS;
const URGENT_AHEAD_MS = 5 * MINUTE_MS;
/** Else it must be this much more urgent than the one that gives way, so that nobody goes to and fro. */
const AHEAD_MS = HOUR_MS;
/** A transfer is let alone for this long after its start. */
const SETTLING_MS = MINUTE_MS;
/** Rounding must not keep a line from being full. */
const NEARLY = 0.999;

/** What there is room for, at one moment of a step. */
interface Room {
  readonly work: Work;
  readonly streams: number;
  readonly capacity: number;
  /** Bytes per second that those under way can fill. */
  load: number;
  /** How many go beside the others. */
  beside: number;
}

/** @returns streams that collecting may use: fewer while people restore and no rate says how much is theirs (S65) */
export function streamsNow(state: PlannerState): number {
  const { streams, restoreShare } = state.conditions;
  const byStreams = state.total.bytesPerSecond === null && isRestoring(state);
  return byStreams ? Math.ceil(streams * (1 - restoreShare) - 1e-9) : streams;
}

/** After the streams became fewer: those that would be started last are stopped (S48). */
export function stopSurplus(work: Work): void {
  const { state } = work;
  const streams = streamsNow(state);
  if (state.runs.size <= streams) return;
  const going = [...state.runs.values()].filter(({ phase }) => phase !== 'stopping');
  const surplus = going.length - streams;
  if (surplus <= 0) return;
  const code = streams < state.conditions.streams ? 'restores-first' : 'streams-busy';
  going.sort((a, b) => (goesBefore(recordOf(state, a), recordOf(state, b), state.now) ? 1 : -1));
  for (const run of going.slice(0, surplus)) stop(work, run, code);
}

const recordOf = (state: PlannerState, run: Run): OfferRecord => state.offers.get(run.snapshot)!;

/** Starts what may start, and stops what has to give way to something more urgent. */
export function choose(work: Work): void {
  const { state } = work;
  if (state.waiting.size === 0) return;
  const room = measureRoom(work);
  startWhatCan(room);
  giveWay(room);
}

/** Room only gets less: what was chosen for a line is good, or worse than it was, when its turn comes. */
function startWhatCan(room: Room): void {
  const { state } = room.work;
  if (state.runs.size >= room.streams) return;
  const choices = newHeap<Choice>('place');
  const isBetter = betterAt(state.now);
  const offerChoice = (line: LineRecord): void => {
    const choice = choiceOn(room, line);
    if (choice !== null) heapAdd(choices, choice, isBetter);
  };
  for (const line of state.waiting) offerChoice(line);
  while (state.runs.size < room.streams) {
    const best = heapTop(choices);
    if (best === undefined) return;
    heapRemove(choices, best, isBetter);
    const { line } = best.record.client;
    const again = choiceOn(room, line);
    if (again?.record === best.record && again.rank === best.rank) start(room, best);
    if (state.waiting.has(line)) offerChoice(line);
  }
}

function measureRoom(work: Work): Room {
  const { state } = work;
  const capacity = leftOver(state, state.total.bytesPerSecond, isRestoring(state));
  let [load, beside] = [0, 0];
  for (const line of state.lines.values()) {
    load += carried(state, line);
    beside += line.beside;
  }
  return { work, streams: streamsNow(state), capacity, load, beside };
}

/** What comes by a line is never more than the line carries. */
const carried = (state: PlannerState, line: LineRecord): number =>
  Math.min(line.load, lineCapacity(state, line));

const isFull = (load: number, capacity: number): boolean => load >= capacity * NEARLY;

function lineIsFull({ work }: Room, line: LineRecord): boolean {
  return isFull(line.load, lineCapacity(work.state, line));
}

interface Choice {
  readonly record: OfferRecord;
  /** 0: overdue, goes beside the others. 1: can be in time. 2: the rest. */
  readonly rank: 0 | 1 | 2;
  place: number;
}

function choiceOn(room: Room, line: LineRecord): Choice | null {
  const { state, now } = room.work;
  if (holdOn(state, line) !== null) return null;
  const { tightest, oldest } = bestOf(line, now);
  const totalFull = isFull(room.load, room.capacity);
  if (oldest.due <= now && (totalFull ? room.beside : line.beside) === 0) {
    return { record: oldest, rank: 0, place: -1 };
  }
  if (totalFull || lineIsFull(room, line)) return null;
  return choiceByTime(tightest, oldest);
}

function choiceByTime(tightest: OfferRecord | null, oldest: OfferRecord): Choice {
  return tightest === null
    ? { record: oldest, rank: 2, place: -1 }
    : { record: tightest, rank: 1, place: -1 };
}

const betterAt =
  (now: UnixMillis) =>
  (a: Choice, b: Choice): boolean => {
    if (a.rank !== b.rank) return a.rank < b.rank;
    return a.rank === 1 ? goesBefore(a.record, b.record, now) : dueBefore(a.record, b.record);
  };

function start(room: Room, { record, rank }: Choice): void {
  const { work } = room;
  const { state, now } = work;
  const { client } = record;
  const { snapshot } = record.offer;
  const run: Run = {
    snapshot,
    client,
    since: now,
    phase: 'ordered',
    begun: false,
    from: record.offer.bytes,
    progressed: false,
    lastByteAt: null,
    beside: rank === 0,
    rate: null,
    cap: Infinity,
    usable: Infinity,
    wanted: Infinity,
    load: 0,
    urgent: false,
    sample: null,
    slowness: 0,
  };
  state.runs.set(snapshot, run);
  client.run = run;
  const before = carried(state, client.line);
  joinLine(state, client.line, run);
  room.load += carried(state, client.line) - before;
  if (run.beside) room.beside++;
  placeClient(state, client);
  work.touched.add(client.line);
  const { standing } = record.track;
  work.starts.push({ kind: 'start', snapshot, client: client.id, until: standing.until });
}

/** S57: at most one at a time for each line that is full, and one for the center's streams or its whole rate. */
function giveWay(room: Room): void {
  const { state, now } = room.work;
  const center = state.runs.size >= room.streams || isFull(room.load, room.capacity);
  let first: OfferRecord | null = null;
  for (const line of state.waiting) {
    if (holdOn(state, line) !== null) continue;
    const { tightest } = bestOf(line, now);
    if (tightest === null) continue;
    if (lineIsFull(room, line)) {
      if (mayGoBefore(state, tightest, slackestOn(state, line))) makeRoom(room, tightest, line.runs);
    } else if (center && (first === null || goesBefore(tightest, first, now))) first = tightest;
  }
  if (first === null) return;
  let slackest = -Infinity;
  for (const line of state.lines.values()) slackest = Math.max(slackest, slackestOn(state, line));
  if (mayGoBefore(state, first, slackest)) makeRoom(room, first, state.runs.values());
}

/** Whether a transfer that is no more urgent than this would have to give way to it. */
function mayGoBefore({ now }: PlannerState, record: OfferRecord, slackest: UnixMillis): boolean {
  const ahead = spareTime(record, now) < URGENT_MS ? URGENT_AHEAD_MS : AHEAD_MS;
  return urgency(record, now) + ahead < slackest;
}

/** The least urgent gives way; of those that are equal, the one that was started last. */
function makeRoom({ work }: Room, record: OfferRecord, runs: Iterable<Run>): void {
  const { state, now } = work;
  let [last, slackest]: [Run | null, UnixMillis] = [null, -Infinity];
  for (const run of runs) {
    if (run.phase === 'stopping') return;
    // What is beside the others would be started again at once.
    if (run.beside || now - run.since < SETTLING_MS) continue;
    const slack = standing(state, run);
    if (last !== null && (slack < slackest || (slack === slackest && !isLater(run, last)))) continue;
    [last, slackest] = [run, slack];
  }
  if (last !== null && mayGoBefore(state, record, slackest)) stop(work, last, 'more-urgent');
}

const isLater = (a: Run, b: Run): boolean =>
  a.since === b.since ? a.snapshot > b.snapshot : a.since > b.since;

/** Who would be started if there were room everywhere. */
export function firstOfAll(state: PlannerState): OfferRecord | null {
  let first: Choice | null = null;
  const isBetter = betterAt(state.now);
  for (const line of state.waiting) {
    if (holdOn(state, line) !== null) continue;
    const { tightest, oldest } = bestOf(line, state.now);
    const choice = choiceByTime(tightest, oldest);
    if (first === null || isBetter(choice, first)) first = choice;
  }
  return first?.record ?? null;
}

/** As of the last choice. */
export function wasFull(state: PlannerState, line: LineRecord): boolean {
  return isFull(line.load, lineCapacity(state, line));
}

/** When to look again whether something has to give way, or is overdue (S52). */
export function nextUrgency(state: PlannerState): UnixMillis {
  let next = Infinity;
  if (state.runs.size === 0) return next;
  for (const line of state.waiting) {
    const { tightest, oldest } = bestOf(line, state.now);
    if (oldest.due > state.now) next = Math.min(next, oldest.due);
    if (tightest !== null) next = Math.min(next, state.now + SETTLING_MS);
  }
  return next;
}
