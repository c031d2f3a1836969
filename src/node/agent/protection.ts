import type { CopyRow, JobRow, SnapshotRow } from '../../ledger/tables.ts';
import type { CenterId, SnapshotId } from '../../model/ids.ts';
import type { UnixMillis } from '../../model/time.ts';

/**
 * How well one job is protected (promise P6): never better than the truth. `protected` means that a snapshot of
 * everything is receipted by every center that it is owed to; `partly`, by some of them. Whatever is newer or missing
 * is in `remarks`.
 */
export interface Protection {
  readonly level: 'protected' | 'partly' | 'none';
  /** When the files were read that the level speaks of; null for `none`. */
  readonly asOf: UnixMillis | null;
  readonly snapshot: SnapshotId | null;
  /** Centers that have receipted it. */
  readonly at: readonly CenterId[];
  /** Why it is not better, most important first. */
  readonly remarks: readonly Remark[];
}

export type Remark =
  | { readonly kind: 'no-center' }
  | { readonly kind: 'never-taken' }
  /** Snapshots that no center has; `held` of them some relay has in custody. */
  | { readonly kind: 'not-collected'; readonly count: number; readonly held: number }
  /** Snapshots that were freed here on the word of a relay, which has lost them. */
  | { readonly kind: 'lost'; readonly count: number }
  /** The backup is still on its way through the spool in parts. */
  | { readonly kind: 'partial' }
  | { readonly kind: 'still-owed'; readonly centers: readonly CenterId[] }
  /** Nothing can go to this node: its hours, `windows`, and those of the job are never open together. */
  | { readonly kind: 'never-meets'; readonly node: string; readonly windows: string; readonly zone: string }
  /** Entries that the snapshot lacks because they could not be read. */
  | { readonly kind: 'unreadable'; readonly count: number }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly at: UnixMillis | null;
    };

export interface JobFacts {
  readonly memory: Pick<JobRow, 'last_code' | 'last_message' | 'last_tried'> | null;
  /** Of the job, by this machine's instance, newest first, with their copies. */
  readonly snapshots: readonly { readonly row: SnapshotRow; readonly copies: readonly CopyRow[] }[];
  readonly centers: readonly CenterId[];
}

export function protectionOf(facts: JobFacts): Protection {
  const { centers } = facts;
  const safest = facts.snapshots.find(
    ({ row, copies }) => row.complete === 1 && copies.some(({ phase }) => phase === 'safe'),
  );
  if (safest === undefined) {
    return { level: 'none', asOf: null, snapshot: null, at: [], remarks: whyNone(facts) };
  }
  const { row, copies } = safest;
  const at = copies.filter(({ phase }) => phase === 'safe').map(({ center }) => center);
  const missing = centers.filter((center) => !at.includes(center));
  const newer = facts.snapshots.slice(0, facts.snapshots.indexOf(safest)).filter(isLive);
  const remarks: Remark[] = [
    ...failure(facts),
    ...(missing.length > 0 ? [{ kind: 'still-owed', centers: missing } as const] : []),
    ...notCollected(newer),
    ...(row.problems > 0 ? [{ kind: 'unreadable', count: row.problems } as const] : []),
  ];
  const level = missing.length > 0 ? 'partly' : 'protected';
  return { level, asOf: row.taken_at, snapshot: row.id, at, remarks };
}

function whyNone(facts: JobFacts): Remark[] {
  const waiting = facts.snapshots.filter(isLive);
  const remarks: Remark[] = [];
  if (facts.centers.length === 0) remarks.push({ kind: 'no-center' });
  remarks.push(...failure(facts));
  const whole = waiting.filter(({ row }) => row.complete === 1);
  if (whole.length > 0) remarks.push(...notCollected(whole));
  else if (facts.snapshots.some(({ row }) => row.complete === 0)) remarks.push({ kind: 'partial' });
  else if (remarks.every(({ kind }) => kind !== 'failed')) remarks.push({ kind: 'never-taken' });
  return remarks;
}

function notCollected(snapshots: JobFacts['snapshots']): Remark[] {
  const here = snapshots.filter((snapshot) => !isLost(snapshot));
  const held = here.filter(({ copies }) => copies.some(({ phase }) => phase === 'held'));
  const lost = snapshots.length - here.length;
  return [
    ...(lost > 0 ? [{ kind: 'lost', count: lost } as const] : []),
    ...(here.length > 0 ? [{ kind: 'not-collected', count: here.length, held: held.length } as const] : []),
  ];
}

/** Neither in the spool any more nor with the relay on whose word it was freed. */
function isLost({ row, copies }: JobFacts['snapshots'][number]): boolean {
  const open = copies.filter(({ phase }) => phase !== 'void');
  const gone =
    open.length > 0 && open.every(({ phase, code }) => phase === 'stuck' && code === 'custody-lost');
  return row.pack_group === null && gone;
}

/** Not given up by its owner: some copy of it is still owed or kept. */
function isLive({ copies }: JobFacts['snapshots'][number]): boolean {
  return copies.length === 0 || copies.some(({ phase }) => phase !== 'void');
}

function failure({ memory }: JobFacts): Remark[] {
  if (memory === null || memory.last_code === '' || memory.last_code === 'interrupted') return [];
  const { last_code, last_message, last_tried } = memory;
  return [{ kind: 'failed', code: last_code, message: last_message, at: last_tried }];
}
