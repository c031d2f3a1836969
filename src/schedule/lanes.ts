import type { UnixMillis } from '../model/time.ts';
import { heapAdd, heapRemove, heapTop, newHeap, type Before, type Heap } from './heap.ts';
import {
  datedBefore,
  datedEnd,
  dueBefore,
  goesBefore,
  lastStart,
  leavingBefore,
  leavingEnd,
  nightBefore,
  nightEnd,
} from './order.ts';
import type { Best, Lane, LineRecord, OfferRecord, PlannerState, Track } from './records.ts';

function laneFor(track: Track, line: LineRecord): Lane {
  const known = track.lanes.get(line);
  if (known !== undefined) return known;
  const lane: Lane = {
    track,
    line,
    nightly: newHeap('nightPlace'),
    dated: newHeap('datedPlace'),
    leaving: newHeap('leavingPlace'),
    byDue: newHeap('duePlace'),
    late: new Set(),
  };
  track.lanes.set(line, lane);
  return lane;
}

/** Into every order by which it may have to be in time. */
function enterHeaps(lane: Lane, record: OfferRecord): void {
  heapAdd(lane.nightly, record, nightBefore);
  if (record.deadline !== null) heapAdd(lane.dated, record, datedBefore);
  if (record.client.leaves !== null) heapAdd(lane.leaving, record, leavingBefore);
}

/** Lets it stand in its lane: nothing but open windows and room is missing. */
export function enterLane(state: PlannerState, record: OfferRecord): void {
  const lane = laneFor(record.track, record.client.line);
  record.lane = lane;
  enterHeaps(lane, record);
  heapAdd(lane.byDue, record, dueBefore);
  if (lane.byDue.items.length === 1) openOrCloseLane(state, lane);
  const { best } = lane.line;
  if (best === null || !lane.track.standing.open) return;
  // As long as it is known who is best, a newcomer only has to be compared with that one.
  if (dueBefore(record, best.oldest)) best.oldest = record;
  const start = lastStart(record, state.now);
  if (start === Infinity) return;
  if (best.tightest !== null && !goesBefore(record, best.tightest, state.now)) return;
  best.tightest = record;
  best.until = start;
}

export function leaveLane(state: PlannerState, record: OfferRecord): void {
  const { lane } = record;
  if (lane === null) return;
  record.lane = null;
  lane.late.delete(record);
  heapRemove(lane.nightly, record, nightBefore);
  heapRemove(lane.dated, record, datedBefore);
  heapRemove(lane.leaving, record, leavingBefore);
  heapRemove(lane.byDue, record, dueBefore);
  const { line } = lane;
  if (line.best?.tightest === record || line.best?.oldest === record) line.best = null;
  if (lane.byDue.items.length > 0) return;
  lane.track.lanes.delete(line);
  openOrCloseLane(state, lane);
}

/** Everybody leaves at once. */
export function clearLanes(state: PlannerState): void {
  for (const record of state.offers.values()) {
    record.lane = null;
    record.nightPlace = -1;
    record.datedPlace = -1;
    record.leavingPlace = -1;
    record.duePlace = -1;
  }
  for (const track of state.tracks.all.values()) track.lanes.clear();
  for (const line of state.waiting) {
    line.open.clear();
    line.best = null;
  }
  state.waiting.clear();
}

/** Notes in its line whether somebody stands in it and the windows are open. */
function openOrCloseLane(state: PlannerState, lane: Lane): void {
  const { line, track, byDue } = lane;
  line.best = null;
  if (track.standing.open && byDue.items.length > 0) line.open.add(lane);
  else line.open.delete(lane);
  if (line.open.size > 0) state.waiting.add(line);
  else state.waiting.delete(line);
}

/** After its windows have opened or closed. Those that the last night was too short for have the next one before them. */
export function turnLanes(state: PlannerState, track: Track): void {
  for (const lane of track.lanes.values()) {
    for (const record of lane.late) enterHeaps(lane, record);
    lane.late.clear();
    openOrCloseLane(state, lane);
  }
}

/** Takes those that cannot be in time out of the way; each of them once in a night. */
function topInTime(
  lane: Lane,
  heap: Heap<OfferRecord>,
  endOf: (record: OfferRecord) => UnixMillis,
  before: Before<OfferRecord>,
  now: UnixMillis,
): OfferRecord | null {
  for (let top = heapTop(heap); top !== undefined; top = heapTop(heap)) {
    const end = endOf(top);
    if (end === Infinity) return null;
    if (end - top.needed >= now) return top;
    heapRemove(heap, top, before);
    lane.late.add(top);
  }
  return null;
}

/** Of a line with something waiting. */
export function bestOf(line: LineRecord, now: UnixMillis): Best {
  const { best } = line;
  if (best !== null && now <= best.until) return best;
  line.best = findBest(line, now);
  return line.best;
}

function findBest(line: LineRecord, now: UnixMillis): Best {
  let tightest: OfferRecord | null = null;
  let oldest: OfferRecord | null = null;
  for (const lane of line.open) {
    const first = heapTop(lane.byDue)!;
    if (oldest === null || dueBefore(first, oldest)) oldest = first;
    const tops = [
      topInTime(lane, lane.nightly, nightEnd, nightBefore, now),
      topInTime(lane, lane.dated, datedEnd, datedBefore, now),
      topInTime(lane, lane.leaving, leavingEnd, leavingBefore, now),
    ];
    for (const top of tops) {
      if (top !== null && (tightest === null || goesBefore(top, tightest, now))) tightest = top;
    }
  }
  return { tightest, until: tightest === null ? Infinity : lastStart(tightest, now), oldest: oldest! };
}
