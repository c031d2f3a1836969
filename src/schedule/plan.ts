import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { UNLIMITED, type RatePlan } from './rate-plan.ts';
import type { Windows } from './weekly.ts';

/** One snapshot that a client (or a relay) wishes to have collected. */
export interface PlannedOffer {
  readonly snapshot: SnapshotId;
  readonly client: ClientId;
  /** The network line by which its client comes; null: none that has conditions of its own. */
  readonly line: string | null;
  readonly job: string;
  /** Within (client, job), snapshots are collected in ascending order of this. */
  readonly sequence: number;
  /** Bytes that still have to travel. Exact, unlike anything about time. */
  readonly bytes: number;
  /** The client's own windows. */
  readonly windows: Windows;
  readonly offeredAt: UnixMillis;
  /** By when it has to be collected, if somebody has said so; it wins over `target`. */
  readonly deadline: UnixMillis | null;
  /** How old the center's newest copy of the job may get, in milliseconds; null if nobody has said. */
  readonly target: number | null;
  /** Taken-at of the job's newest snapshot that is collected; null if there is none. */
  readonly lastCollected: UnixMillis | null;
}

/** What suits the center (S48, S60-S69). All of it may change while it runs and counts at once. */
export interface CenterConditions {
  readonly windows: Windows;
  /** Transfers at the same time. 0 collects nothing. */
  readonly streams: number;
  /** All transfers together. */
  readonly rate: RatePlan;
  /** All transfers over one line, by its name. A line that is not here has no limit of its own. */
  readonly lines: ReadonlyMap<string, RatePlan>;
  /** Each client. */
  readonly clientRate: RatePlan;
  /** Clients with a limit of their own instead. */
  readonly clientRates: ReadonlyMap<ClientId, RatePlan>;
  /** Part of the rates (of the streams, where there is no rate) that is kept free while restores are under way, 0-0.9. */
  readonly restoreShare: number;
}

/** Conditions with nothing but windows and streams, and what `more` says. */
export function conditionsWith(
  windows: Windows,
  streams: number,
  more: Partial<CenterConditions> = {},
): CenterConditions {
  return {
    windows,
    streams,
    rate: UNLIMITED,
    lines: new Map(),
    clientRate: UNLIMITED,
    clientRates: new Map(),
    restoreShare: 0,
    ...more,
  };
}

/** Why the center collects nothing for the time being, measured by whoever tells it (S66). */
export type HoldCode =
  | 'free-space'
  | 'store-full'
  | 'load'
  | 'disk-pressure'
  | 'not-while'
  | 'held'
  | 'held-back';

export interface Hold {
  /** Of this hold: the same name again replaces it. */
  readonly name: string;
  readonly code: HoldCode;
  /** Only what comes by this line; null: everything. */
  readonly line: string | null;
  /** Only this client, whatever its line is; left out: all of the line. */
  readonly client?: ClientId;
  /** True: transfers are stopped. False: they go on, and nothing is started. */
  readonly stops: boolean;
  /** When it ends by itself; null: when it is released. */
  readonly until: UnixMillis | null;
}

/**
 * What the planner is told. Whoever carries out grants owes it exactly one `ended` for every start grant, whatever
 * happened to it (stopped, client gone, refused, order idle): a stream stays taken until then (S43).
 */
export type PlannerEvent =
  | { readonly kind: 'offered'; readonly offer: PlannedOffer }
  | { readonly kind: 'withdrawn'; readonly snapshot: SnapshotId }
  /** With `line` where its address says another one than its offers did. */
  | { readonly kind: 'online'; readonly client: ClientId; readonly line?: string | null }
  | { readonly kind: 'offline'; readonly client: ClientId }
  /** The client has accepted the order. */
  | { readonly kind: 'started'; readonly snapshot: SnapshotId }
  /** @see PlannedOffer.bytes. Also what rates are learnt from, so it should come every few seconds. */
  | { readonly kind: 'progress'; readonly snapshot: SnapshotId; readonly bytes: number }
  | { readonly kind: 'ended'; readonly snapshot: SnapshotId; readonly outcome: Outcome }
  /** It sent faster than granted, announced a wrong size, broke the protocol: it waits longer each time (S47). */
  | { readonly kind: 'misbehaved'; readonly client: ClientId }
  | { readonly kind: 'conditions'; readonly conditions: CenterConditions }
  | { readonly kind: 'hold'; readonly hold: Hold }
  | { readonly kind: 'release'; readonly name: string }
  /** How many restores (or other work that people wait for) are under way over this line; null: over none. */
  | { readonly kind: 'restores'; readonly line: string | null; readonly count: number }
  /** From the history, once after a start: what the client was seen to be able to send. */
  | {
      readonly kind: 'learnt';
      readonly client: ClientId;
      readonly line: string | null;
      readonly bytesPerSecond: number;
      /** Milliseconds that it uses to stay connected. */
      readonly session?: number;
    }
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

/** `after-predecessor`: an earlier snapshot of the same job has turned up. `more-urgent`: another has less time left. */
export type StopCode =
  | 'client-window'
  | 'center-window'
  | 'streams-busy'
  | 'client-offline'
  | 'after-predecessor'
  | 'more-urgent'
  | 'restores-first'
  | 'withdrawn'
  | HoldCode;

/** How fast a transfer may go from now on; null: as fast as it can. */
export interface Rate {
  readonly snapshot: SnapshotId;
  readonly bytesPerSecond: number | null;
}

/** Why an offer is where it is; docs/scheduling.md S50 says what each means and which one wins. */
export type ReasonCode =
  | 'running'
  | 'next'
  | 'client-offline'
  | 'client-window'
  | 'center-window'
  | 'client-held'
  | 'no-shared-window'
  | 'streams-busy'
  | 'line-busy'
  | 'center-busy'
  | 'client-busy'
  | 'after-predecessor'
  | 'backing-off'
  | 'client-absent'
  | 'client-misbehaved'
  | 'restores-first'
  | HoldCode;

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
  /** Of the transfers under way those whose rate is another than before; one that starts has had null. */
  readonly rates: readonly Rate[];
  readonly reasons: Reasons;
  /** The earliest instant at which `step` must be called with `tick`, later than `now`; null if none. */
  readonly nextChange: UnixMillis | null;
}
