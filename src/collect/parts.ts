import type { Depot } from '../depot/depot.ts';
import type { SealedBlock } from '../format/block.ts';
import type { SigningKey } from '../format/signing.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { CenterFace, CopyQuery, CopyRecord, Page } from '../model/exchange.ts';
import type { BlockId, CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { World } from '../world/ports.ts';

/** What collecting stands on. */
export interface CollectorParts {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  /** The node itself: a center, or a relay. */
  readonly center: CenterFace;
  readonly receiptKey: SigningKey;
  /** Null at a center. */
  readonly above: Above | null;
}

/** What a relay's collector may ask of what is above it. It knows nothing else of it. */
export interface Above {
  /** Centers that some way leads to. Their keys were checked against their ids. */
  readonly centers: () => readonly CenterFace[];
  /** Ids of the nodes above, as far as they are known. */
  readonly path: () => readonly CenterId[];
  /** Whom a snapshot is owed to from here, if its client owes it to `wished`: those, and whom the operator adds. */
  readonly owed: (wished: readonly CenterId[]) => readonly CenterId[];
  /**
   * Which of a client's blocks all these centers have.
   * @throws LowtideError if one of them cannot be asked now
   */
  readonly stored: (
    client: ClientId,
    centers: readonly CenterId[],
    ids: readonly BlockId[],
  ) => Promise<ReadonlySet<BlockId>>;
  /** Tells those above of machines below that they may not know of yet: whoever asks for them must be known. */
  readonly introduce: () => Promise<void>;
  /** Since when no way to a center has been open; null if one is. */
  readonly awaySince: (center: CenterId) => UnixMillis | null;
  /** Whether anybody above can be asked now. */
  readonly isOpen: () => boolean;
  /**
   * One page of what the node on a way above knows of snapshots. Nobody here vouches for it. Empty if it does not answer;
   * null if there are not so many ways.
   */
  readonly copies: (way: number, query: CopyQuery) => Promise<Page<CopyRecord> | null>;
  /** One page of what the node on a way above has of a client's keyrings. As `copies`. */
  readonly keyrings: (
    way: number,
    client: ClientId,
    after: string | null,
  ) => Promise<Page<Uint8Array> | null>;
  /** Blocks that are not here, for a restore; they are what their ids say. Nobody to ask: none. */
  readonly fetch: (
    scope: SnapshotId,
    ids: readonly BlockId[],
    stop: AbortSignal,
  ) => AsyncIterable<SealedBlock>;
  /** Makes room for all that a transfer may bring. @throws LowtideError `store-full`, and what the disk says */
  readonly makeRoom: (arriving: Arriving) => Promise<void>;
  /** How full the store is, for people, and whether nothing more is taken until something was passed on. */
  readonly fullness: () => Promise<{ readonly holds: boolean; readonly text: string }>;
  /** Whether the cache has room for blocks that pass by to a restore. Asked again for each group of them. */
  readonly mayCache: () => Promise<boolean>;
  /** Told of blocks that were kept so: the oldest give way. */
  readonly cached: () => void;
  /** Told of a snapshot that is in custody here now, or closed. */
  readonly changed: () => void;
}

/** A transfer that wants to begin at a relay. */
export interface Arriving {
  readonly snapshot: SnapshotId;
  /** Called once there is room for this one, before anybody else is asked about. */
  readonly admit: () => void;
}

/** When and how much suits the center (SEED 222), as people write it. */
export interface Conditions {
  readonly windows: string;
  readonly zone: string;
  readonly streams: number;
  /** Left out: as fast as it goes. */
  readonly rates?: RateConditions;
  /** Left out: nobody is in a hurry. */
  readonly targets?: TargetConditions;
  /** Part of the disk, 0 to 1, that stays free: below it nothing is collected. Left out: 0. */
  readonly freeSpace?: number;
  /** Above these nothing is started; null for none. @see Strain */
  readonly ceilings?: { readonly load: number | null; readonly disk: number | null };
  /** Programs with their arguments: while one of them ends with status 0, nothing is collected. */
  readonly notWhile?: readonly (readonly string[])[];
  /** All of it key by key, as people wrote it: to tell what has changed. */
  readonly written?: Readonly<Record<string, string>>;
}

/** How fast, in the grammar of docs/scheduling.md S60. */
export interface RateConditions {
  readonly total: string;
  readonly perClient: string;
  /** Kept free while restores are under way (S65). */
  readonly restoreShare: number;
  readonly lines: readonly { readonly name: string; readonly rate: string }[];
  /** The line by which a machine comes, by its name and address; null for none. */
  readonly lineOf: (place: ClientPlace) => string | null;
  /** Rates of machines that have one of their own instead of `perClient`, and which is whose. */
  readonly individual: readonly { readonly rate: string }[];
  readonly rateOf: (place: ClientPlace) => string | null;
}

/** How old the newest copy of a job may get, in milliseconds (S69). */
export interface TargetConditions {
  /** Of a computer that is not named, and whose owner wishes nothing; null for none. */
  readonly usual: number | null;
  /** The operator's word on one computer. */
  readonly of: (place: ClientPlace) => number | null;
}

/** A machine below, as conditions tell it apart. */
export interface ClientPlace {
  readonly client: ClientId;
  readonly name: string;
  readonly address: string | null;
}

export const OPEN_CONDITIONS: Omit<Conditions, 'zone'> = { windows: 'any', streams: 2 };
