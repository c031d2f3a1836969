import type { KeyStore } from '../format/domain-keys.ts';
import type { SignedManifest } from '../format/manifest.ts';
import { LowtideError } from '../model/errors.ts';
import type { CopyState, Hop } from '../model/exchange.ts';
import type { ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { NamedSource } from '../restore/restore-plan.ts';
import type { World } from '../world/ports.ts';
import type { LostSnapshot } from './agent/lost-files.ts';

/** One line of a list of snapshots, wherever it is kept. */
export interface SnapshotLine {
  readonly id: SnapshotId;
  readonly client: ClientId;
  readonly instance: InstanceId;
  readonly job: string;
  readonly sequence: number;
  readonly takenAt: UnixMillis;
  /** False: partial. It covers its paths only up to a point. */
  readonly complete: boolean;
  readonly files: number;
  readonly bytes: number;
  readonly problems: number;
  /** What was backed up; empty if the list does not say. */
  readonly roots: readonly string[];
  /** Where its content is: `depot`, `spool`, the names of centers. Empty: nowhere any more. */
  readonly where: readonly string[];
  /** How it stands with each center that it is owed to; empty where there are none. */
  readonly copies: readonly CopyLine[];
  /** Name of the relay with which what was new in it was lost; null if it was not. */
  readonly lostWith: string | null;
}

/** One copy of a snapshot, for people. */
export interface CopyLine extends Pick<CopyState, 'phase' | 'code' | 'until' | 'since' | 'holder'> {
  readonly center: string;
  /** When its last block was there, by its receipt. */
  readonly arrivedAt: UnixMillis | null;
  readonly hops: readonly Hop[];
}

/** Snapshots that can be read, with the keys to do so: a depot alone, or an agent's spool and centers. */
export interface Reading {
  readonly world: World;
  readonly keys: KeyStore;
  /** In order of preference. */
  readonly sources: readonly NamedSource[];
  /** Newest first. */
  list(): Promise<readonly SnapshotLine[]>;
  /** Checked against the client's instance keys. */
  manifest(id: SnapshotId): Promise<SignedManifest>;
  /** What was lost with relays that had it in custody, the oldest loss first. */
  lost(): Promise<readonly LostSnapshot[]>;
  close(): Promise<void>;
}

/**
 * The snapshot that `latest` or a unique prefix of an id means. `latest` is the newest that is still kept somewhere: of each
 * chain the one taken last, whatever the clock showed, and of these the one dated last.
 * @param job only snapshots of this job
 * @throws LowtideError `no-such-snapshot`, `ambiguous-snapshot`
 */
export function resolveLine(lines: readonly SnapshotLine[], text: string, job?: string): SnapshotLine {
  const ofJob = job === undefined ? lines : lines.filter((line) => line.job === job);
  if (text === 'latest') return latestOf(ofJob, job);
  const wanted = text.toLowerCase();
  const matches = wanted === '' ? [] : ofJob.filter(({ id }) => id.startsWith(wanted));
  if (matches.length > 1) {
    throw new LowtideError(
      'ambiguous-snapshot',
      `${matches.length} snapshots start with ${text}: give more digits`,
    );
  }
  const [match] = matches;
  if (match !== undefined) return match;
  throw new LowtideError(
    'no-such-snapshot',
    `there is no snapshot ${text}${ofWhichJob(job)}: 'lowtide snapshots' lists them`,
  );
}

/** Within a chain by sequence: what was taken while a clock was ahead stays the latest no longer than until the next. */
function latestOf(lines: readonly SnapshotLine[], job: string | undefined): SnapshotLine {
  const kept = lines.filter(({ where }) => where.length > 0);
  const byTime = kept.toSorted((a, b) => b.takenAt - a.takenAt);
  const chains = Map.groupBy(byTime, (line) => `${line.instance} ${line.job}`);
  const ends = [...chains.values()].map((chain) => chain.toSorted((a, b) => b.sequence - a.sequence)[0]!);
  const [newest] = ends.toSorted((a, b) => b.takenAt - a.takenAt || b.sequence - a.sequence);
  if (newest !== undefined) return newest;
  throw new LowtideError('no-such-snapshot', `there is no snapshot${ofWhichJob(job)} yet`);
}

const ofWhichJob = (job: string | undefined): string => (job === undefined ? '' : ` of job ${job}`);
