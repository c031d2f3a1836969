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
  /** How old the newest copy of this job may get, in milliseconds. Only to nodes that say in `Welcome.wishes` that they know it. */
  readonly target?: number;
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

/**
 * The state of one copy of one snapshot: the one that `center` has or shall have. A relay has one for itself too: how far
 * its custody is.
 */
export interface CopyState {
  readonly snapshot: SnapshotId;
  readonly center: CenterId;
  readonly phase: CopyPhase;
  /** A code that says why, from the planner's reasons or the error registry; '' when there is nothing to say. */
  readonly code: string;
  /** When that is expected to change; null when nobody knows. */
  readonly until: UnixMillis | null;
  /** Of the phase; of what is `held` and waits for a center that cannot be reached: since when it cannot. */
  readonly since: UnixMillis;
  /** Name of the relay nearest to the center that has it in custody now; null if none has. Only a name. */
  readonly holder: string | null;
  /** When it is expected to have come to the next node on its way; null or left out if nobody says. */
  readonly expected?: Expected | null;
}

/** A forecast, not a promise: it may be another one the next time. */
export interface Expected {
  /** Name of the node that expects it, and when it said so by its own clock. */
  readonly by: string;
  readonly at: UnixMillis;
  /** How many start before it, itself included; 0 while it is being sent; null if nobody knows. */
  readonly place: number | null;
  /** It will have come between these. */
  readonly early: UnixMillis;
  readonly late: UnixMillis;
}

/** A copy's state with its proof, and the way that it took. */
export interface CopyRecord extends CopyState {
  /** Signed receipt (format F60), when phase is `safe` or `held`. */
  readonly receipt: Uint8Array | null;
  readonly manifest: Uint8Array | null;
  /** The owner's signed word (format F47) that it is closed, when phase is `void` and the node that answers has it. */
  readonly closing?: Uint8Array | undefined;
  /** From the node that answers upwards. What relays tell: not proved by anything. */
  readonly hops: readonly Hop[];
}

/** What one node has to tell of how a snapshot came to it (SEED fig. 6). */
export interface Hop {
  readonly by: CenterId;
  readonly name: string;
  readonly offeredAt: UnixMillis;
  /** When its last block was durable there; null if it is not there yet. */
  readonly arrivedAt: UnixMillis | null;
  /** Bytes that travelled on this hop. */
  readonly bytes: number;
  /** Orders that it took so far. */
  readonly attempts: number;
}

/** A machine of the subtree, as a relay tells of it above. */
export interface Member {
  /** Signed by the machine (format F61). */
  readonly membership: Uint8Array;
  /** What it is called at the node that it joined. */
  readonly name: string;
}

/** A client as a node knows it, told to whoever may read what is that client's. */
export interface KnownClient {
  readonly client: ClientId;
  readonly name: string;
  readonly role: 'agent' | 'relay';
  /** Ed25519, 32 bytes. */
  readonly instanceKey: Uint8Array;
  /** As a node, if it is a relay. */
  readonly node: CenterId | null;
  /** SHA-256 of the key of its certificate, 64 hex digits; '' if it comes by relays only. */
  readonly pass: string;
  /** Shut out there. */
  readonly revoked: boolean;
  /** What it has signed, and who told of it there: itself, or a relay in whose subtree it is. */
  readonly memberships: readonly (Member & { readonly via: ClientId })[];
  /** Its signed words (format F62) that it has left what it had joined. */
  readonly left?: readonly Uint8Array[];
}

export interface CopyQuery {
  readonly client?: ClientId;
  /** At most limits.page_rows. */
  readonly snapshots?: readonly SnapshotId[];
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

/** How one that receipts is known: a center, or a relay, which gives custody only. */
export interface CenterFace {
  readonly id: CenterId;
  readonly kind: 'center' | 'relay';
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
  /** Centers that can be reached from here, the one itself included. Their ids name their keys. */
  readonly centers: readonly CenterFace[];
  /** The node itself and everything above it that it knows of: whoever finds itself here has joined in a circle. */
  readonly above: readonly CenterId[];
  /** The center's own windows, as text with zone: for status lines. */
  readonly windows: string;
  readonly zone: string;
  /** Wishes beyond those of the first version that it understands: others must not be made (protocol R20). */
  readonly wishes?: readonly string[];
}

export type Order =
  | {
      readonly kind: 'send';
      readonly order: OrderId;
      readonly snapshot: SnapshotId;
      readonly until: UnixMillis | null;
      /** Bytes a second, from the first one on; null: as fast as it goes. */
      readonly rate: number | null;
    }
  /** Another rate for an order that is being carried out. */
  | { readonly kind: 'rate'; readonly order: OrderId; readonly rate: number | null }
  | { readonly kind: 'stop'; readonly order: OrderId; readonly code: string }
  /** Of these snapshots only, or of any. */
  | { readonly kind: 'news'; readonly snapshots?: readonly SnapshotId[] }
  /** When it collects from now on. */
  | { readonly kind: 'policy'; readonly windows: string; readonly zone: string };
