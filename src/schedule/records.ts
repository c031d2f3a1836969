import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Handling } from './handling.ts';
import type { Heap } from './heap.ts';
import type { CenterConditions, Hold, PlannedOffer } from './plan.ts';
import type { RateNow } from './rate-plan.ts';
import type { Timeline } from './timeline.ts';
import type { Windows } from './weekly.ts';

/**
 * Everything the planner knows. Only planner code looks inside. It is owned: `step` changes it in place and gives it
 * back, so whoever has passed a state to `step` must go on with the one returned and keep no other. It is plain data:
 * `structuredClone(state)` is an independent copy, for a forecast (S41).
 */
export interface PlannerState {
  conditions: CenterConditions;
  now: UnixMillis;
  readonly offers: Map<SnapshotId, OfferRecord>;
  /** Those that are online, have offers, hold a stream, or are backing off. */
  readonly clients: Map<ClientId, ClientRecord>;
  /** Those with clients, restores or a name in the conditions' `lines`. Null: of clients without a line. */
  readonly lines: Map<string | null, LineRecord>;
  /** Lines with something that may start, if there is room. */
  readonly waiting: Set<LineRecord>;
  /** Every one holds a stream. */
  readonly runs: Map<SnapshotId, Run>;
  readonly tracks: Tracks;
  /** Offers that are backing off, by when that ends. */
  readonly retries: Heap<OfferRecord>;
  /** Clients that are backing off, by when that ends. */
  readonly pauses: Heap<ClientRecord>;
  readonly holds: Map<string, Hold>;
  /** Holds of one client each. */
  readonly heldBack: Map<ClientId, Hold>;
  readonly learnt: Learnt;
  /** False while a night is only played: nothing can be learnt from what was made up. */
  learns: boolean;
  /** What the conditions allow now. */
  total: RateNow;
  /** The part of what all lines carry together that the center can take at the same time, 0-1. */
  takes: number;
  /** Lines on which people restore. */
  restoring: number;
  /** The center had less than its lines when rates were shared last. */
  narrow: boolean;
  /** What each rate of the conditions is now, by its text. */
  rates: ReadonlyMap<string, RateNow>;
  /** The same as a text to compare. */
  ratesNow: string;
  /** When some rate of the conditions changes by itself. */
  ratesUntil: UnixMillis;
}

/** What was seen, as exponentially weighted averages. */
export interface Learnt {
  /** Bytes per second. */
  readonly clients: Map<ClientId, number>;
  /** Of a client of this line, for those that have not been seen yet. Not of lines whose clients go as fast as they may. */
  readonly lines: Map<string | null, number>;
  readonly seen: Map<string | null, LineSeen>;
  /** What `lines` were when the offers of the line were estimated last. */
  readonly bases: Map<string | null, number>;
  /** Milliseconds that a client stays connected. */
  readonly sessions: Map<ClientId, number>;
  /** Of all clients. */
  handling: Handling;
}

/** What the transfers over a line came to. */
export interface LineSeen {
  /** Bytes per second, of those that did not reach what they were granted. */
  readonly pace: number | undefined;
  /** The part that they are of all that ended; null before one has. */
  readonly slow: number | null;
}

export interface OfferRecord {
  offer: PlannedOffer;
  readonly client: ClientRecord;
  track: Track;
  /** When it was offered, by the quarter of a day. */
  readonly age: UnixMillis;
  /** By when it has to be collected, or null: then the end of the shared interval counts (S54). */
  deadline: UnixMillis | null;
  /** When it is overdue (S56). */
  due: UnixMillis;
  /** Milliseconds that it is expected to take when nothing else is in its way. */
  expected: number;
  /** The part of them that there has to be for it to count as being in time: estimates are rough. */
  needed: number;
  /** The part of them that others can use as well: `expected`, less what it fills the line itself. */
  alone: number;
  /** Shared time before the deadline, by the track's timeline; 0 without deadline. */
  before: number;
  /** Some of it has been sent. */
  begun: boolean;
  failures: number;
  retryAt: UnixMillis | null;
  nightPlace: number;
  datedPlace: number;
  leavingPlace: number;
  duePlace: number;
  retryPlace: number;
  /** The lane that it stands in while nothing but room is missing, whether the windows are open or not. */
  lane: Lane | null;
}

export interface ClientRecord {
  readonly id: ClientId;
  line: LineRecord;
  online: boolean;
  /** When it connected. */
  since: UnixMillis;
  /** When it is expected to go, as of its connection; null if nobody knows. */
  leaves: UnixMillis | null;
  run: Run | null;
  /** By job; in ascending sequence. Only the first of each may travel. */
  readonly queues: Map<string, OfferRecord[]>;
  /** Orders in a row that it did not begin, and times that it misbehaved. */
  absences: number;
  offences: number;
  pausePlace: number;
  pause: { readonly code: 'client-absent' | 'client-misbehaved'; readonly until: UnixMillis } | null;
}

export interface LineRecord {
  readonly name: string | null;
  clients: number;
  /** Of these, the ones whose windows are open and in which somebody stands. */
  readonly open: Set<Lane>;
  readonly runs: Set<Run>;
  restores: number;
  /** What the conditions allow on it now. */
  cap: RateNow;
  /** Who would be started first; null: has to be looked for. */
  best: Best | null;
  /** Bytes per second that its transfers can fill, a whole number. */
  load: number;
  /** How many of its transfers go beside the others. */
  beside: number;
  /** How many may be of clients that were never seen, and what was known of the line when they were counted. */
  unseen: number;
  pace: number | undefined;
  /** Up to `slackUntil` no transfer on it is less urgent than this. */
  slackest: UnixMillis;
  slackUntil: UnixMillis;
}

/** The one with the least time left that can still be in time, and the one that is due first. */
export interface Best {
  tightest: OfferRecord | null;
  /** After this somebody else may be the tightest. */
  until: UnixMillis;
  oldest: OfferRecord;
}

/** All that wait for the same line in the same windows: their order does not change with time (S55). */
export interface Lane {
  readonly track: Track;
  readonly line: LineRecord;
  /** By the end of the night, by deadline, and by when the client will have gone: the least time left is first. */
  readonly nightly: Heap<OfferRecord>;
  readonly dated: Heap<OfferRecord>;
  readonly leaving: Heap<OfferRecord>;
  /** Everybody; who is due first is first. */
  readonly byDue: Heap<OfferRecord>;
  /** Not in all of the first three, because by some end they cannot be in time any more. */
  readonly late: Set<OfferRecord>;
}

/** All that have the same windows share one track, so a night is worked out once and not for each of them. */
export interface Track {
  readonly windows: Windows;
  readonly members: Set<OfferRecord>;
  readonly lanes: Map<LineRecord, Lane>;
  standing: Standing;
  changePlace: number;
  /** Made when the first offer with a deadline comes. */
  timeline: Timeline | null;
  /** While it is open: the moment now, less the shared time before it. Does not change until it closes. */
  offset: number;
}

export interface Tracks {
  /** By the windows' canonical text. */
  readonly all: Map<string, Track>;
  /** Those that will change, by when. */
  readonly changes: Heap<Track>;
}

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

export interface Run {
  readonly snapshot: SnapshotId;
  readonly client: ClientRecord;
  readonly since: UnixMillis;
  /** `stopping`: a stop grant has gone out, `ended` has not come yet. */
  phase: 'ordered' | 'running' | 'stopping';
  /** The client has accepted the order. */
  begun: boolean;
  /** Bytes that were left when it was ordered, and whether fewer are left now. */
  readonly from: number;
  progressed: boolean;
  /** Since when nothing is left to come; null while something is. */
  lastByteAt: UnixMillis | null;
  /** It is overdue and goes beside the others: they do not wait for it (S56). */
  readonly beside: boolean;
  /** What it was told; null: as fast as it can. */
  rate: number | null;
  /** Bytes per second: what the conditions allow its client, what that was seen to use of it, and what it may turn out to be able to use. */
  cap: number;
  usable: number;
  wanted: number;
  /** What it adds to the load of its line. */
  load: number;
  /** Gets what it can use before others do, because it has little time left. */
  urgent: boolean;
  sample: Sample | null;
  /** Samples that did not reach what was granted, less those that did. */
  slowness: number;
}

/** Since `at`, when `bytes` remained, it may have gone as fast as `lowest` all the time. */
export interface Sample {
  readonly at: UnixMillis;
  readonly bytes: number;
  readonly lowest: number;
}
