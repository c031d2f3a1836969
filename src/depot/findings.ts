import type { SignedManifest } from '../format/manifest.ts';
import { type ErrorCode, LowtideError } from '../model/errors.ts';
import type { Progress } from '../model/events.ts';
import type { BlockId, SnapshotId } from '../model/ids.ts';
import type { Disk } from '../world/ports.ts';
import type { BlockReader } from './block-reader.ts';
import type { PackRoom } from './pack-file.ts';
import type { Records } from './records.ts';

export interface VerifyOptions {
  /** Read every block and check it against its id; else only what packs and index say about each other. */
  readonly data: boolean;
  readonly stop?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /**
   * What this depot must hold of a snapshot: everything in its refs (`whole`, unless told), everything that is not in
   * its base's refs, or no more than the manifest (its content was drained).
   */
  readonly expect?: (signed: SignedManifest) => 'whole' | 'delta' | 'manifest';
}

export interface Finding {
  /** `note`: nothing is lost, only worth telling. */
  readonly severity: 'error' | 'note';
  readonly code: ErrorCode;
  /** One sentence. */
  readonly what: string;
  /** Of the pack or record, below the depot. */
  readonly path: string;
  /** Snapshots that cannot be restored whole because of it. */
  readonly snapshots: readonly SnapshotId[];
}

export interface VerifyParts {
  readonly disk: Disk;
  readonly path: string;
  readonly room: PackRoom;
  readonly reader: BlockReader;
  readonly records: Records;
  /** A damaged block that is read well again. Null in a depot opened for reading. */
  readonly restore: ((pack: number, ids: readonly BlockId[]) => Promise<void>) | null;
}

export function stopIfAsked(stop: AbortSignal | undefined): void {
  if (stop?.aborted === true) throw new LowtideError('interrupted', 'the verification was interrupted');
}
