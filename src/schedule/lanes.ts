import type { UnixMillis } from '../model/time.ts';
import { heapAdd, heapRemove, heapTop, newHeap, type Heap } from './heap.ts';
import { dueBefore, goesBefore, laneBefore, lastStart } from './order.ts';
import type { Best, Lane, LineRecord, OfferRecord, PlannerState, Track } from './records.ts';

function laneFor(track: Track, line: LineRecord): Lane {
  const known = track.lanes.get(line);
  if (known !== undefined) return known;
  const lane: Lane = {
    track,
    line,
    dated: newHeap('urgencyPlace'),
    nightly: newHeap('urgencyPlace'),
    byDue: newHeap('duePlace'),
    late: new Set(),
  };
  track.lanes.set(line, lane);
  return lane;
}

const heapOf = (lane: Lane, record: OfferRecord): Heap<OfferRecord> =>
  record.deadline === null ? lane.nightly : lane.dated;

/** Lets it stand in its lane: nothing but open windows and room is missing. */
export function enterLane(state: PlannerState, record: OfferRecord): void {
  const lane = laneFor(record.track, record.client.line);
  record.lane = lane;
  heapAdd(heapOf(lane, record), record, laneBefore);
  heapAdd(lane.byDue, record, dueBefore);
  if (lane.byDue.items.length === 1) openOrCloseLane(state, lane);
  const { best } = lane.line;
  if (best === null || !lane.track.standing.open) return;
  // As long as it is known who is best, a newcomer only has to be compared with that one.
  if (dueBefore(record, best.oldest)) best.oldest = record;
  if (!canBeInTime(record, state.now)) return;
  if (best.tightest === null || goesBefore(record, best.tightest)) best.tightest = record;
}

export function leaveLane(state: PlannerState, record: OfferRecord): void {
  const { lane } = record;
  if (lane === null) return;
  record.lane = null;
  lane.late.delete(record);
  heapRemove(heapOf(lane, record), record, laneBefore);
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
    record.urgencyPlace = -1;
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
    for (const record of lane.late) heapAdd(heapOf(lane, record), record, laneBefore);
    lane.late.clear();
    openOrCloseLane(state, lane);
  }
}

/** Has an end before which it has to be done, and enough time until then. */
export function canBeInTime(record: OfferRecord, now: UnixMillis): boolean {
  const start = lastStart(record);
  return start >= now && start !== Infinity;
}

/** Takes those that cannot be in time out of the way; each of them once in a night. */
function topInTime(lane: Lane, heap: Heap<OfferRecord>, now: UnixMillis): OfferRecord | null {
  for (let top = heapTop(heap); top !== undefined; top = heapTop(heap)) {
    const start = lastStart(top);
    if (start >= now) return start === Infinity ? null : top;
    heapRemove(heap, top, laneBefore);
    lane.late.add(top);
  }
  return null;
}

/** Of a line with something waiting. */
export function bestOf(line: LineRecord, now: UnixMillis): Best {
  const { best } = line;
  if (best !== null && (best.tightest === null || canBeInTime(best.tightest, now))) return best;
  line.best = findBest(line, now);
  return line.best;
}

function findBest(line: LineRecord, now: UnixMillis): Best {
  let tightest: OfferRecord | null = null;
  let oldest: OfferRecord | null = null;
  for (const lane of line.open) {
    const first = heapTop(lane.byDue)!;
    if (oldest === null || dueBefore(first, oldest)) oldest = first;
    for (const heap of [lane.dated, lane.nightly]) {
      const top = topInTime(lane, heap, now);
      if (top !== null && (tightest === null || goesBefore(top, tightest))) tightest = top;
    }
  }
  return { tightest, oldest: oldest! };
}
