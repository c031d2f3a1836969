import type { ErrorCode } from './errors.ts';
import type { CenterId, ClientId, OrderId, SnapshotId } from './ids.ts';

/**
 * Everything that happens to a backup, in one list: transcripts are made of it now, log, mail, audit and metrics
 * later. The name of the node and the time are added by the monitor.
 */
export type Event =
  | { kind: 'started'; role: string; name: string }
  | { kind: 'stopped'; role: string; name: string }
  | {
      kind: 'taken';
      job: string;
      snapshot: SnapshotId;
      files: number;
      bytes: number;
      spooled: number;
      partial: boolean;
      problems: number;
    }
  | { kind: 'take-failed'; job: string; code: ErrorCode; message: string }
  | { kind: 'offered'; snapshot: SnapshotId; center: CenterId; bytes: number }
  | { kind: 'reception'; client: ClientId; job: string; snapshot: SnapshotId; bytes: number }
  | { kind: 'ordered'; client: ClientId; snapshot: SnapshotId; order: OrderId }
  | { kind: 'sent'; snapshot: SnapshotId; center: CenterId; order: OrderId; bytes: number }
  | { kind: 'paused'; snapshot: SnapshotId; order: OrderId; code: string; bytes: number }
  | { kind: 'committed'; client: ClientId; snapshot: SnapshotId; bytes: number }
  | { kind: 'receipted'; snapshot: SnapshotId; center: CenterId; receipt: 'center' | 'custody' }
  | { kind: 'freed'; snapshot: SnapshotId; bytes: number }
  | { kind: 'voided'; snapshot: SnapshotId; code: string }
  | { kind: 'refused'; what: string; code: ErrorCode; message: string }
  | { kind: 'waiting'; client: ClientId; snapshot: SnapshotId; code: string; until: number | null }
  /** Nothing is collected, because of what was measured. */
  | { kind: 'holding'; name: string; code: string; text: string }
  | { kind: 'resumed'; name: string }
  /** What suits the node has been changed: a key of its settings. */
  | { kind: 'changed'; key: string; before: string | null; after: string | null }
  | { kind: 'connected'; center: CenterId }
  | { kind: 'disconnected'; center: CenterId; code: string; message: string }
  | { kind: 'enrolled'; client: ClientId; name: string }
  | { kind: 'left'; client: ClientId; name: string }
  | { kind: 'restored'; files: number; bytes: number; problems: number }
  | { kind: 'alarm'; code: ErrorCode; message: string };

export type EventKind = Event['kind'];

/** Something that could not be backed up or restored. It is counted, and the rest goes on. */
export interface Problem {
  readonly path: string;
  readonly code: string;
  readonly message: string;
  /** `note`: nothing is lost, only worth telling. */
  readonly severity: 'error' | 'note';
}

/** Counters of long work, as often as the worker likes; who shows them decides how often. */
export interface Progress {
  readonly doing: string;
  readonly files: number;
  readonly bytes: number;
  readonly filesTotal?: number;
  readonly bytesTotal?: number;
}
