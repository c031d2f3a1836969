import type { DomainKeys, KeyStore } from '../format/domain-keys.ts';
import type { ManifestCounts, ManifestLabels, SignedManifest } from '../format/manifest.ts';
import type { SigningKey } from '../format/signing.ts';
import type { Problem } from '../model/events.ts';
import type { ClientId, InstanceId, KeyringHash, SnapshotId } from '../model/ids.ts';
import type { SpoolMode } from '../model/jobs.ts';
import type { PathKey } from '../model/paths.ts';

/** All that one run of one job needs to know. */
export interface BackupPlan {
  readonly client: ClientId;
  readonly instance: InstanceId;
  readonly signingKey: SigningKey;
  /** The newest epoch: what the run seals under. */
  readonly keys: DomainKeys;
  /** Opens the base, which may be of older epochs. */
  readonly keyStore: KeyStore;
  readonly keyring: KeyringHash;
  readonly job: string;
  readonly sequence: number;
  readonly previous: SnapshotId | null;
  readonly base: SignedManifest | null;
  readonly roots: readonly PathKey[];
  /** gitignore patterns, relative to each root. */
  readonly excludes: readonly string[];
  readonly excludeCaches: boolean;
  readonly oneFileSystem: boolean;
  readonly labels: ManifestLabels;
  readonly host: string;
  readonly software: string;
  readonly spool: BackupMode;
  /** Pack group of data blocks. Dropped by the caller if the run fails. */
  readonly dataGroup: string;
  /** Pack group of pages of tree and refs. */
  readonly metaGroup: string;
  /** Stop with a partial snapshot when data blocks of this many bytes were stored; one block more may follow. */
  readonly quotaBytes: number | null;
  /** zstd level, 0 for none. */
  readonly level: number;
}

/** `depot`: standing alone, deduplicating against everything in the depot. */
export type BackupMode = SpoolMode | 'depot';

export interface BackupResult {
  readonly signed: SignedManifest;
  /** New blocks of this run and their bytes: data, pages of the tree, pages of refs. */
  readonly storedBytes: number;
  readonly storedBlocks: number;
  readonly counts: ManifestCounts;
  /** The first thousand, notes included. */
  readonly problems: readonly Problem[];
  /** Files carried over from the base without being opened. */
  readonly unchanged: number;
  readonly complete: boolean;
}
