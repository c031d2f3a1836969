import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Windows } from './weekly.ts';

/** One snapshot that a client (or a relay) wishes to have collected. */
export interface PlannedOffer {
  readonly snapshot: SnapshotId;
  readonly client: ClientId;
  readonly job: string;
  /** Within (client, job), snapshots are collected in ascending order of this. */
  readonly sequence: number;
  /** Bytes that still have to travel. */
  readonly bytes: number;
  /** The client's own windows. */
  readonly windows: Windows;
  readonly offeredAt: UnixMillis;
}

/** What suits the center. Rates, lines and free space join it later. */
export interface CenterConditions {
  readonly windows: Windows;
  /** Transfers at the same time. 0 collects nothing. */
  readonly streams: number;
}

/**
 * What the planner is told. Whoever carries out grants owes it exactly one `ended` for every start grant, whatever
 * happened to it (stopped, client gone, refused, order idle): a stream stays taken until then (S43).
 */
export type PlannerEvent =
  | { readonly kind: 'offered'; readonly offer: PlannedOffer }
  | { readonly kind: 'withdrawn'; readonly snapshot: SnapshotId }
  | { readonly kind: 'online'; readonly client: ClientId }
  | { readonly kind: 'offline'; readonly client: ClientId }
  /** The client has accepted the order. */
  | { readonly kind: 'started'; readonly snapshot: SnapshotId }
  /** @see PlannedOffer.bytes */
  | { readonly kind: 'progress'; readonly snapshot: SnapshotId; readonly bytes: number }
  | { readonly kind: 'ended'; readonly snapshot: SnapshotId; readonly outcome: Outcome }
  | { readonly kind: 'conditions'; readonly conditions: CenterConditions }
  | { readonly kind: 'tick' };

export type Outcome = 'committed' | 'paused' | 'failed';

/** What has to be done now. `start`: order the client to send. `stop`: end that order; `ended` follows. */
export type Grant =
  | {
      readonly kind: 'start';
      readonly snapshot: SnapshotId;
      readonly client: ClientId;
      /** End of the time that client and center share; null when it is not known to end. */
      readonly until: UnixMillis | null;
    }
  | {
      readonly kind: 'stop';
      readonly snapshot: SnapshotId;
      readonly client: ClientId;
      readonly code: StopCode;
    };

/** `after-predecessor`: an earlier snapshot of the same job has turned up. */
export type StopCode =
  | 'client-window'
  | 'center-window'
  | 'streams-busy'
  | 'client-offline'
  | 'after-predecessor'
  | 'withdrawn';

export interface Rate {
  readonly snapshot: SnapshotId;
  readonly bytesPerSecond: number;
}

/** Why an offer is where it is; docs/scheduling.md S50 says what each means and which one wins. */
export type ReasonCode =
  | 'running'
  | 'next'
  | 'client-offline'
  | 'client-window'
  | 'center-window'
  | 'no-shared-window'
  | 'streams-busy'
  | 'client-busy'
  | 'after-predecessor'
  | 'backing-off';

export interface Reason {
  readonly snapshot: SnapshotId;
  readonly code: ReasonCode;
  /** When this is expected to end; null when nobody knows. */
  readonly until: UnixMillis | null;
  /** For people, without a time: `describeReason` adds it. */
  readonly text: string;
}

/** One reason for every offer, worked out when asked for. Good until the next `step` with the same state. */
export interface Reasons extends Iterable<Reason> {
  readonly size: number;
  get(snapshot: SnapshotId): Reason | undefined;
}

/** `State` is the planner's own record: see `PlannerState` in planner.ts. */
export interface Step<State> {
  readonly state: State;
  /** Stops first. */
  readonly grants: readonly Grant[];
  /** Empty for now: every stream goes as fast as it can. */
  readonly rates: readonly Rate[];
  readonly reasons: Reasons;
  /** The earliest instant at which `step` must be called with `tick`, later than `now`; null if none. */
  readonly nextChange: UnixMillis | null;
}
