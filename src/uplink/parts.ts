import type { Depot } from '../depot/depot.ts';
import type { Database, Ledger } from '../ledger/ledger.ts';
import type { SnapshotRow } from '../ledger/tables.ts';
import type { ErrorCode } from '../model/errors.ts';
import type { CenterFace, Member, Wishes } from '../model/exchange.ts';
import type { BlockId, CenterId, ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { World } from '../world/ports.ts';
import { Alarms } from './alarms.ts';
import type { Route } from './routes.ts';

/** What sending upwards stands on: one uplink for each node above, which is a route to one center or several. */
export interface UplinkParts {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly client: ClientId;
  readonly instance: InstanceId;
  readonly software: string;
  /** Every node above that it has joined. */
  readonly joined: readonly CenterId[];
  /** What the node is called as a node itself, if it is a relay. */
  readonly node: CenterId | null;
  /** The node dialled; from the join token or the operator. */
  readonly upstream: CenterFace;
  /**
   * Centers that it leads to, itself if it is one; from the join token or the operator: receipts count only under these
   * keys.
   */
  readonly centers: readonly CenterFace[];
  /** Its place among the ways that this node has. */
  readonly route: Route;
  /** A new connection; throws LowtideError `center-unreachable` and the like. */
  readonly connect: () => Promise<CenterApi>;
  readonly sender: Sender;
  /** Whether transfers give way to everything else on their line. */
  readonly yields: () => boolean;
  /** Called when the node above has said hello: who is above that may have changed. */
  readonly onConnected: () => void;
  /** Called after a receipt was stored: what it frees may be freed now. */
  readonly onReceipt: () => void;
  /** Called when what is known of a snapshot's copies has changed. */
  readonly onChange: (snapshot: SnapshotId) => void;
}

/** What differs between sending one's own snapshots and passing on those of others. */
export interface Sender {
  /** `node` above is asked with these; what travels when is the sender's to say. */
  wishes(row: SnapshotRow, centers: readonly CenterId[]): Promise<Wishes>;
  /**
   * The own depot cannot give what these centers lack of a snapshot. Says so for good, or gets it again.
   * @throws LowtideError if it need not: what is asked for is there, or nobody can say now
   */
  lost(snapshot: SnapshotId, loss: Loss): Promise<void>;
  /** The owner's word that a snapshot is closed, at these centers if it is the sender's to give; null if there is none. */
  closing(snapshot: SnapshotId, centers: readonly CenterId[]): Promise<Uint8Array | null>;
  /**
   * The node above shows such a word of its owner, which has not come here from below.
   * @returns false if it does not count
   */
  closedAbove(snapshot: SnapshotId, record: Uint8Array): Promise<boolean>;
  /** A snapshot cannot be closed at some center as it is. */
  behind(db: Database, snapshot: SnapshotId): Promise<void>;
  /** A relay above had the only whole copy, and has it no more, or is none any more. */
  custodyLost(snapshot: SnapshotId, holder: Holder): Promise<void>;
  /** Machines below, that the node above must know before anything of theirs is offered. */
  members(): Promise<readonly KnownMember[]>;
  /** The node above shows words of machines below that they have left what they had joined. */
  left(words: readonly Uint8Array[]): Promise<void>;
}

/** One that was told of here, with what its word says of it. */
export interface KnownMember extends Member {
  readonly client: ClientId;
}

/** What had custody. */
export interface Holder extends Pick<CenterFace, 'name'> {
  /** This node has left it: it may have it still, and pass it on. */
  readonly wasLeft?: boolean;
}

export interface Loss {
  readonly centers: readonly CenterFace[];
  readonly code: ErrorCode;
  readonly why: string;
  /** Which block, if it is one and not what says which there are. */
  readonly block?: BlockId;
}

/** With what an uplink has of its own. */
export interface UplinkWork extends UplinkParts {
  readonly alarms: Alarms;
  /** What has been offered in this session, with which wishes: the same is not offered twice. */
  readonly offered: Map<SnapshotId, string>;
  /** Wishes beyond the first ones that the node above understands, by its last welcome. */
  readonly understands: Set<string>;
  /** Machines below that it has been told of in this session: of others it says nothing, whatever it has of them. */
  readonly introduced: Set<ClientId>;
  /** Of these the node above got a block that was not what its id says: they are hashed before they go out again. */
  readonly doubted: Set<SnapshotId>;
}

export const idsOf = (faces: readonly CenterFace[]): CenterId[] => faces.map(({ id }) => id);

/** Of an uplink that has heard nothing yet. */
export function workOf(parts: UplinkParts): UplinkWork {
  return {
    ...parts,
    alarms: new Alarms(parts.world.monitor),
    offered: new Map(),
    understands: new Set(),
    introduced: new Set(),
    doubted: new Set(),
  };
}
