import type { UnixMillis } from '../model/time.ts';
import { heapAdd, heapRemove, heapTop, newHeap } from './heap.ts';
import type { OfferRecord, Standing, Track, Tracks } from './records.ts';
import { sharedBefore, timelineOf } from './timeline.ts';
import { HORIZON_MS, intervalAt, isAlways, isNever, isOpen, nextShared, type Windows } from './windows.ts';

export function newTracks(): Tracks {
  return { all: new Map(), changes: newHeap('changePlace') };
}

const sooner = (a: Track, b: Track): boolean => a.standing.changesAt! < b.standing.changesAt!;

/** The caller joins the members at once: a track without members is nobody's. */
export function trackFor(tracks: Tracks, windows: Windows, center: Windows, now: UnixMillis): Track {
  const known = tracks.all.get(windows.text);
  if (known !== undefined) return known;
  const standing = standingOf(windows, center, now);
  const track: Track = {
    windows,
    members: new Set(),
    lanes: new Map(),
    standing,
    changePlace: -1,
    timeline: null,
    offset: 0,
  };
  tracks.all.set(windows.text, track);
  if (standing.changesAt !== null) heapAdd(tracks.changes, track, sooner);
  return track;
}

export function leaveTrack(tracks: Tracks, member: OfferRecord): void {
  const { track } = member;
  track.members.delete(member);
  if (track.members.size > 0) return;
  tracks.all.delete(track.windows.text);
  heapRemove(tracks.changes, track, sooner);
}

export function refreshTrack(tracks: Tracks, track: Track, center: Windows, now: UnixMillis): void {
  heapRemove(tracks.changes, track, sooner);
  track.standing = standingOf(track.windows, center, now);
  if (track.standing.changesAt !== null) heapAdd(tracks.changes, track, sooner);
  setOffset(track, center, now);
}

/** A track whose standing is out of date, if there is one. */
export function dueTrack(tracks: Tracks, now: UnixMillis): Track | undefined {
  const track = heapTop(tracks.changes);
  return track !== undefined && track.standing.changesAt! <= now ? track : undefined;
}

/** Shared milliseconds before `at`, which is not earlier than `now` and within five weeks of it. */
export function sharedUntil(track: Track, center: Windows, at: UnixMillis, now: UnixMillis): number {
  if (track.timeline === null || track.timeline.to < at) {
    const first = track.timeline === null;
    track.timeline = timelineOf(track.windows, center, now, track.timeline);
    if (first) setOffset(track, center, now);
  }
  return sharedBefore(track.timeline, at);
}

function setOffset(track: Track, center: Windows, now: UnixMillis): void {
  if (track.timeline === null) return;
  if (track.timeline.to < now) track.timeline = timelineOf(track.windows, center, now, track.timeline);
  track.offset = now - sharedBefore(track.timeline, now);
}

/** S51: of the two sides, the one named is the one that opens when the shared time begins. */
function standingOf(client: Windows, center: Windows, now: UnixMillis): Standing {
  if (isNever(client) || isNever(center)) {
    return { open: false, code: 'no-shared-window', until: null, changesAt: null };
  }
  const shared = nextShared([client, center], now);
  // Zones shift against each other during the year, so what does not meet in five weeks may meet later (S22).
  const lookAgain = now + HORIZON_MS;
  if (shared === null) return { open: false, code: 'no-shared-window', until: null, changesAt: lookAgain };
  if (shared.start > now) {
    const byClient = intervalAt(client, shared.start)?.start === shared.start;
    const code = byClient ? 'client-window' : 'center-window';
    return { open: false, code, until: shared.start, changesAt: shared.start };
  }
  const forEver = isAlways(client) && isAlways(center);
  return { open: true, until: shared.end, changesAt: shared.end ?? (forEver ? null : lookAgain) };
}

/** Which side's closing has ended the shared time. */
export function closedSide(client: Windows, now: UnixMillis): 'client-window' | 'center-window' {
  return isOpen(client, now) ? 'center-window' : 'client-window';
}
