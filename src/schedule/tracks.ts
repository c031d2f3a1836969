import type { UnixMillis } from '../model/time.ts';
import { heapAdd, heapRemove, heapTop, newHeap, type Heap } from './heap.ts';
import { HORIZON_MS, intervalAt, isAlways, isNever, isOpen, nextShared, type Windows } from './windows.ts';

/** How one pair of client's and center's windows stands at the last moment it was looked at. */
export type Standing =
  | {
      readonly open: true;
      /** End of the shared interval. */
      readonly until: UnixMillis | null;
      readonly changesAt: UnixMillis | null;
    }
  | {
      readonly open: false;
      readonly code: 'client-window' | 'center-window' | 'no-shared-window';
      /** Start of the next shared interval. */
      readonly until: UnixMillis | null;
      readonly changesAt: UnixMillis | null;
    };

/** All that have the same windows share one track, so a night is worked out once and not for each of them. */
export interface Track<Member> {
  readonly windows: Windows;
  readonly members: Set<Member>;
  standing: Standing;
}

export interface Tracks<Member> {
  /** By the windows' canonical text. */
  readonly all: Map<string, Track<Member>>;
  /** Those that will change, by when. */
  readonly changes: Heap<Track<Member>>;
}

export function newTracks<Member>(): Tracks<Member> {
  return { all: new Map(), changes: newHeap() };
}

const sooner = <Member>(a: Track<Member>, b: Track<Member>): boolean =>
  a.standing.changesAt! < b.standing.changesAt!;

/** The caller adds itself to the members at once: a track without members is nobody's. */
export function trackFor<Member>(
  tracks: Tracks<Member>,
  windows: Windows,
  center: Windows,
  now: UnixMillis,
): Track<Member> {
  const known = tracks.all.get(windows.text);
  if (known !== undefined) return known;
  const track: Track<Member> = { windows, members: new Set(), standing: standingOf(windows, center, now) };
  tracks.all.set(windows.text, track);
  if (track.standing.changesAt !== null) heapAdd(tracks.changes, track, sooner);
  return track;
}

export function leaveTrack<Member>(tracks: Tracks<Member>, member: Member, track: Track<Member>): void {
  track.members.delete(member);
  if (track.members.size > 0) return;
  tracks.all.delete(track.windows.text);
  heapRemove(tracks.changes, track, sooner);
}

export function refreshTrack<Member>(
  tracks: Tracks<Member>,
  track: Track<Member>,
  center: Windows,
  now: UnixMillis,
): void {
  heapRemove(tracks.changes, track, sooner);
  track.standing = standingOf(track.windows, center, now);
  if (track.standing.changesAt !== null) heapAdd(tracks.changes, track, sooner);
}

/** A track whose standing is out of date, if there is one. */
export function dueTrack<Member>(tracks: Tracks<Member>, now: UnixMillis): Track<Member> | undefined {
  const track = heapTop(tracks.changes);
  return track !== undefined && track.standing.changesAt! <= now ? track : undefined;
}

/** S51: of the two sides, the one named is the one that opens when the shared time begins. */
export function standingOf(client: Windows, center: Windows, now: UnixMillis): Standing {
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
