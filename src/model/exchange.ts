import type { CenterId, ClientId, InstanceId, OrderId, SnapshotId } from './ids.ts';
import type { FreeAfter } from './jobs.ts';
import type { UnixMillis } from './time.ts';

/** What a client wishes for one snapshot (SEED 221): when it may travel, to whom it is owed, how much it is. */
export interface Wishes {
  /** Windows in the grammar of docs/scheduling.md, with `zone`. */
  readonly transfer: string;
  readonly zone: string;
  readonly centers: readonly CenterId[];
  readonly freeAfter: FreeAfter;
  /** Bytes that would travel if the center had nothing but the base. Exact: the backup is spooled. */
  readonly bytes: number;
  readonly blocks: number;
}

/**
 * - `waiting`: offered, or not even that; `code` says for what.
 * - `in-transit`: being sent now.
 * - `held`: a relay has custody. Not safe.
 * - `safe`: the center has receipted it.
 * - `behind`: the center lacks the base; a pull or a base-none snapshot must come first.
 * - `stuck`: needs a person; `code` says why.
 * - `void`: closed by a signed void record.
 */
export type CopyPhase = 'waiting' | 'in-transit' | 'held' | 'safe' | 'behind' | 'stuck' | 'void';

/** The state of one copy of one snapshot: the one that `center` has or shall have. */
export interface CopyState {
  readonly snapshot: SnapshotId;
  readonly center: CenterId;
  readonly phase: CopyPhase;
  /** A code that says why, from the planner's reasons or the error registry; '' when there is nothing to say. */
  readonly code: string;
  /** When that is expected to change; null when nobody knows. */
  readonly until: UnixMillis | null;
  readonly since: UnixMillis;
}

/** A copy's state with its proof. */
export interface CopyRecord extends CopyState {
  /** Signed receipt (format F60), when phase is `safe` or `held`. */
  readonly receipt: Uint8Array | null;
  readonly manifest: Uint8Array | null;
}

export interface CopyQuery {
  readonly client?: ClientId;
  readonly snapshot?: SnapshotId;
  /** With the manifests' bytes: for a machine that lost its own. */
  readonly manifests?: boolean;
  readonly after?: string;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Ask again with `after` set to this; null at the end. */
  readonly next: string | null;
}

export interface Hello {
  readonly protocol: number;
  readonly client: ClientId;
  readonly instance: InstanceId;
  readonly software: string;
  /** The token of the last session with this center, so that a clone is found out. */
  readonly session: string | null;
  readonly clock: UnixMillis;
}

export interface CenterFace {
  readonly id: CenterId;
  readonly name: string;
  /** Ed25519, 32 bytes. */
  readonly receiptKey: Uint8Array;
}

export interface Welcome {
  readonly protocol: number;
  readonly center: CenterFace;
  readonly session: string;
  readonly clock: UnixMillis;
  /** Changes when the center's ledger was restored from a copy. */
  readonly incarnation: string;
  /** Centers that can be reached from here, the one itself included. */
  readonly centers: readonly CenterFace[];
  /** The center's own windows, as text with zone: for status lines. */
  readonly windows: string;
  readonly zone: string;
}

export type Order =
  | {
      readonly kind: 'send';
      readonly order: OrderId;
      readonly snapshot: SnapshotId;
      readonly until: UnixMillis | null;
    }
  | { readonly kind: 'stop'; readonly order: OrderId; readonly code: string }
  | { readonly kind: 'news' }
  | { readonly kind: 'policy' };
