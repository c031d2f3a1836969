import type { ColumnType, Generated, Insertable, Selectable } from 'kysely';
import type { CopyPhase } from '../model/exchange.ts';
import type { CenterId, ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import type { FreeAfter } from '../model/jobs.ts';
import type { UnixMillis } from '../model/time.ts';

/**
 * What a node knows about snapshots, the same tables on every kind of node (SEED 121's state, 221, 223, 313).
 * Flags are 0 or 1.
 */
export interface Tables {
  /** Single values: incarnation, role. */
  facts: { name: string; value: string };
  clients: ClientTable;
  members: MemberTable;
  leavings: LeavingTable;
  readers: ReaderTable;
  tokens: TokenTable;
  snapshots: SnapshotTable;
  copies: CopyTable;
  custodies: CustodyTable;
  offers: OfferTable;
  history: HistoryTable;
  runs: RunTable;
  jobs: JobTable;
  habits: HabitTable;
  forecasts: ForecastTable;
  audit: AuditTable;
}

/** `peer`: another center, which may read everything here and do nothing else. */
export type ClientRole = 'agent' | 'relay' | 'peer';

/** Who may send here (a center or relay), and what it looked like last. */
interface ClientTable {
  id: ClientId;
  name: string;
  role: ClientRole;
  /** Ed25519 public key of the newest instance. */
  instance_key: Uint8Array;
  /** SHA-256 of the certificate's public key: revoked with it. */
  pass: string;
  address: string | null;
  /** As a node, if it is a relay: what its custody receipts and its members' memberships name. */
  node: CenterId | null;
  enrolled_at: UnixMillis;
  /** When it was connected last; of one that is connected, some minutes ago at most. */
  seen_at: UnixMillis | null;
  revoked_at: UnixMillis | null;
  session: string | null;
  /** The token that the last hello showed, marked if it was not the one expected: see src/collect/sessions.ts. */
  session_before: string | null;
  /** Bytes that it may bring here, with its subtree if it is a relay; null for no bound. */
  quota: ColumnType<number | null, number | null | undefined, number | null>;
  /** How many machines it may tell of, if it is a relay; null for `MEMBERS_MAX`. */
  members_max: ColumnType<number | null, number | null | undefined, number | null>;
  /** Since when, until when (null: until it is released) and why the operator lets nothing be collected from it; `held_since` null: he does not. */
  held_since: ColumnType<UnixMillis | null, UnixMillis | null | undefined, UnixMillis | null>;
  held_until: ColumnType<UnixMillis | null, UnixMillis | null | undefined, UnixMillis | null>;
  held_why: ColumnType<string | null, string | null | undefined, string | null>;
}

/** Which machine has joined which node, here and in the subtrees of relays (format F61). */
interface MemberTable {
  client: ClientId;
  /** The node that it joined: this one, or a relay below. */
  joined: CenterId;
  /** Whose snapshots' sender it is here: the relay, itself a client here, that told of it; the client itself if it joined here. */
  via: ClientId;
  name: string;
  /** As a node, if it is a relay. */
  node: CenterId | null;
  membership: Uint8Array;
  /** When its machine left that node again, by its own signed word; null while it has not. Then it is no way any more. */
  left_at: ColumnType<UnixMillis | null, UnixMillis | null | undefined, UnixMillis | null>;
}

/** The newest words of machines that they have left a node (format F62): told above, and proof against older words. */
interface LeavingTable {
  client: ClientId;
  /** What it left. */
  node: CenterId;
  at: UnixMillis;
  record: Uint8Array;
}

interface TokenTable {
  /** SHA-256 of the secret. The secret itself is nowhere. */
  hash: string;
  name: string;
  role: ClientRole;
  created_at: UnixMillis;
  expires_at: UnixMillis;
  used_at: UnixMillis | null;
  used_by: ClientId | null;
  /** Whose backups the machine that joins with it may read beside its own. */
  reads: ClientId | null;
}

/** Who may read what another client has brought, by the operator's word: a machine in place of one that was lost. */
interface ReaderTable {
  reader: ClientId;
  client: ClientId;
  since: UnixMillis;
}

/** One row for every snapshot this node ever knew; rows stay when blocks go. */
interface SnapshotTable {
  id: SnapshotId;
  client: ClientId;
  instance: InstanceId;
  /** What people call the job. On an agent its own name, elsewhere what the manifest shows. */
  job: string;
  /** What the manifest says of the job (format F43): opaque if the job is private. */
  chain: string;
  sequence: number;
  previous: SnapshotId | null;
  base: SnapshotId | null;
  taken_at: UnixMillis;
  complete: number;
  files: number;
  bytes: number;
  problems: number;
  label: string | null;
  /** Bytes of the blocks that are not in the base: what has to travel. */
  new_bytes: number;
  new_blocks: number;
  /** Where its data blocks wait to be passed on: on an agent a group of its own, on a relay the shared one; null once freed, and at a center. */
  pack_group: string | null;
  /** When it may travel. On an agent by the job as it was then: what counts once the job is gone. Elsewhere as it was offered first. */
  transfer: string | null;
  zone: string | null;
  /** Whether a relay's custody is enough to free it here (DESIGN 1, P1). */
  free_after: FreeAfter;
  /** How old the newest copy of its job at a center may get, in milliseconds, by its owner's wish; null for none. */
  target: ColumnType<number | null, number | null | undefined, number | null>;
  known_at: UnixMillis;
}

/**
 * Whom a snapshot is owed to, and how far that is (SEED 401: one row for each center). A relay has one row more for each,
 * under its own id: how far its custody is. `held` there is for ever; whether it still has the blocks is `pack_group`.
 */
interface CopyTable {
  snapshot: SnapshotId;
  center: CenterId;
  phase: CopyPhase;
  code: string;
  until: UnixMillis | null;
  since: UnixMillis;
  receipt: Uint8Array | null;
  /** When the center says that it had everything. */
  arrived_at: UnixMillis | null;
  /** Name of the relay nearest to the center that has it in custody. */
  holder: string | null;
  /** `Hop[]` in JSON: what the nodes above tell of the way up. */
  hops: string;
  /** `Expected` in JSON: when the node above foresaw it to be there, when it was asked last. */
  expected: ColumnType<string | null, string | null | undefined, string | null>;
}

/** A relay above has a snapshot and has signed for it. Not safe; while it has, the copies that it passes on are `held`. */
interface CustodyTable {
  snapshot: SnapshotId;
  holder: CenterId;
  receipt: Uint8Array;
  since: UnixMillis;
}

/** The collection management table (SEED 221): outstanding requests with their wishes. Gone once committed or void. */
interface OfferTable {
  snapshot: SnapshotId;
  /** Who offers it: its client, or a relay. */
  client: ClientId;
  manifest: Uint8Array;
  wishes: string;
  offered_at: UnixMillis;
  /** Bytes that are durable here already. */
  received: number;
  /** When the last of them came; null if none did, or before this was noted. */
  came_at: ColumnType<UnixMillis | null, UnixMillis | null | undefined, UnixMillis | null>;
}

/** The transfer history (SEED 223-4): appended only. */
interface HistoryTable {
  id: Generated<number>;
  snapshot: SnapshotId;
  at: UnixMillis;
  what: HistoryKind;
  center: CenterId | null;
  client: ClientId | null;
  address: string | null;
  bytes: number;
  code: string;
}

export type HistoryKind =
  | 'taken'
  | 'offered'
  | 'ordered'
  | 'paused'
  | 'failed'
  | 'arrived'
  | 'receipted'
  | 'freed'
  | 'voided'
  | 'discarded'
  | 'went-back'
  /** The operator took the center off the owed. */
  | 'released';

/** A backup under way on an agent: what a restart must finish or sweep. */
interface RunTable {
  pack_group: string;
  job: string;
  instance: InstanceId;
  sequence: number;
  started_at: UnixMillis;
}

/** How each client that sends here used to do that: what the planner's estimates begin with after a start. */
interface HabitTable {
  client: ClientId;
  /** `SeenTransfer[]` and `SeenStay[]` in JSON, the newest last. */
  transfers: string;
  stays: string;
}

/** When a snapshot was first foreseen to be here, and when it was. */
interface ForecastTable {
  snapshot: SnapshotId;
  made_at: UnixMillis;
  early: UnixMillis;
  likely: UnixMillis;
  late: UnixMillis;
  arrived_at: UnixMillis | null;
}

/** Changes of what suits a node, key by key of its settings: appended only. */
interface AuditTable {
  id: Generated<number>;
  /** When the node saw it. */
  at: UnixMillis;
  key: string;
  before: string | null;
  after: string | null;
}

/** What an agent remembers of each job. */
interface JobTable {
  name: string;
  since: UnixMillis;
  last_taken: UnixMillis | null;
  last_tried: UnixMillis | null;
  last_code: string;
  last_message: string;
  /** The next snapshot must have no base. */
  full_needed: number;
}

export type MemberRow = Selectable<MemberTable>;
export type LeavingRow = Selectable<LeavingTable>;
export type ClientRow = Selectable<ClientTable>;
export type SnapshotRow = Selectable<SnapshotTable>;
export type CopyRow = Selectable<CopyTable>;
export type CustodyRow = Selectable<CustodyTable>;
export type OfferRow = Selectable<OfferTable>;
export type AuditRow = Selectable<AuditTable>;
export type HistoryRow = Selectable<HistoryTable>;
export type NewHistoryRow = Insertable<HistoryTable>;
export type RunRow = Selectable<RunTable>;
export type JobRow = Selectable<JobTable>;
export type TokenRow = Selectable<TokenTable>;
