import type { CenterFace, KnownClient } from '../../model/exchange.ts';
import type { ErrorCode } from '../../model/errors.ts';
import type { ClientId, SnapshotId } from '../../model/ids.ts';
import type { UnixMillis } from '../../model/time.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { RatePlan } from '../../schedule/rate-plan.ts';
import type { Windows } from '../../schedule/windows.ts';
import type { Collector } from '../collector.ts';
import type { PullBudget } from './budget.ts';
import type { Readable } from './patience.ts';

/** A node that a center may read: another center, or a relay. What it says counts for nothing that is not signed. */
export interface PullSource {
  /** From the token. */
  readonly face: CenterFace;
  /** Centers that it leads to, from the token: their receipts are told by it. */
  readonly centers: readonly CenterFace[];
  /** Throws LowtideError `center-unreachable` and the like. */
  readonly connect: () => Promise<CenterApi>;
}

export interface PullWish {
  /** Names or ids of clients; empty for all. */
  readonly clients: readonly string[];
  /** Clients may come in here with the certificates that this center once gave them, as the source knows them. */
  readonly letIn: boolean;
  /** A pull has a budget of its own (promise P3). */
  readonly rate: RatePlan;
  readonly windows: Windows;
}

export type PullPhase = 'records' | 'blocks' | 'closed' | 'done';

/** How far a pull is. */
export interface PullProgress {
  /** `closed`: its hours are over until `until`. */
  readonly phase: PullPhase;
  readonly until: UnixMillis | null;
  /** Clients seen so far. */
  readonly clients: number;
  /** Keyrings that were not here. */
  readonly keyrings: number;
  /** Snapshots seen so far that were not here. */
  readonly snapshots: number;
  readonly pulled: number;
  readonly failed: number;
  /** Durable here by now. */
  readonly blocks: number;
  readonly bytes: number;
  /** Blocks that came and were not what they should be. */
  readonly refused: number;
}

export const NO_PROGRESS: PullProgress = {
  phase: 'records',
  until: null,
  clients: 0,
  keyrings: 0,
  snapshots: 0,
  pulled: 0,
  failed: 0,
  blocks: 0,
  bytes: 0,
  refused: 0,
};

/** What could not be taken over, and why. */
export interface PullProblem {
  readonly client: ClientId | null;
  readonly snapshot: SnapshotId | null;
  readonly code: ErrorCode;
  readonly message: string;
}

/** A source that answered. */
export interface OpenSource {
  readonly face: CenterFace;
  readonly api: Readable;
  /** Whose receipts can be checked: each id is the name of its key. */
  readonly centers: readonly CenterFace[];
}

/** A pull under way. */
export interface PullWork {
  readonly collector: Collector;
  readonly sources: readonly OpenSource[];
  readonly wish: PullWish;
  readonly budget: PullBudget;
  readonly stop: AbortSignal;
  /** Adds to the counts; the rest replaces. */
  readonly note: (change: Partial<PullProgress>) => void;
  readonly problem: (problem: PullProblem) => void;
}

/** A client whose records are here now, and who may sign for it. */
export interface PulledClient {
  readonly known: KnownClient;
  /** Ed25519 public keys by instance. */
  readonly instances: ReadonlyMap<string, Uint8Array>;
}
