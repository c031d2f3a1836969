import type { CopyPhase, CopyState, Expected, Hop } from '../model/exchange.ts';
import type { CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { appendHistory } from './history.ts';
import type { Database, Ledger } from './ledger.ts';
import { each, prepared } from './prepared.ts';
import type { CopyRow } from './tables.ts';

/** A copy in one of these is still to come, or needs somebody; the other two are `safe` and `void`. */
export const OPEN_PHASES = ['waiting', 'in-transit', 'held', 'behind', 'stuck'] as const;

/** Says that `snapshot` is owed to `center`. Idempotent. */
export async function oweCopy(
  db: Database,
  snapshot: SnapshotId,
  center: CenterId,
  now: UnixMillis,
): Promise<void> {
  await OWE.execute(db, { snapshot, center, now });
}

const OWE = prepared(
  (db, { snapshot, center, now }: { snapshot: SnapshotId; center: CenterId; now: UnixMillis }) =>
    db
      .insertInto('copies')
      .values({
        snapshot,
        center,
        phase: 'waiting',
        code: '',
        until: null,
        since: now,
        receipt: null,
        arrived_at: null,
        holder: null,
        hops: '[]',
      })
      .onConflict((conflict) => conflict.doNothing()),
);

type CopyOf = Pick<CopyRow, 'snapshot' | 'center'>;

const COPIES = prepared((db, { snapshot }: { snapshot: SnapshotId }) =>
  db.selectFrom('copies').selectAll().where('snapshot', '=', snapshot).orderBy('center'),
);

export async function copiesOf(db: Database, snapshot: SnapshotId): Promise<CopyRow[]> {
  return await COPIES.rows(db, { snapshot });
}

const COPIES_OF_EACH = prepared((db, { snapshots }: { snapshots: string }) =>
  db
    .selectFrom('copies')
    .selectAll()
    .where('snapshot', 'in', each<SnapshotId>(snapshots))
    .orderBy('snapshot')
    .orderBy('center'),
);

export async function copiesOfEach(db: Database, snapshots: readonly SnapshotId[]): Promise<CopyRow[]> {
  return await COPIES_OF_EACH.rows(db, { snapshots: JSON.stringify(snapshots) });
}

const COPY = prepared((db, { snapshot, center }: CopyOf) =>
  db.selectFrom('copies').selectAll().where('snapshot', '=', snapshot).where('center', '=', center),
);

export async function findCopy(
  db: Database,
  snapshot: SnapshotId,
  center: CenterId,
): Promise<CopyRow | null> {
  return await COPY.first(db, { snapshot, center });
}

export interface CopyPhaseChange {
  readonly snapshot: SnapshotId;
  readonly center: CenterId;
  readonly phase: Exclude<CopyPhase, 'safe'>;
  readonly code: string;
  readonly until: UnixMillis | null;
  readonly holder?: string | null;
  /** Left out: now, if it is another phase than before. */
  readonly since?: UnixMillis;
}

/** A step towards safety. What is safe or void stays so: only `downgradeCopy` takes a receipt's word back. */
export async function setPhase(db: Database, copy: CopyPhaseChange, now: UnixMillis): Promise<void> {
  await SET_PHASE.execute(db, { ...copy, holder: copy.holder ?? null, since: copy.since ?? null, now });
}

interface PhaseChange extends Omit<Required<CopyPhaseChange>, 'since'> {
  readonly since: UnixMillis | null;
  readonly now: UnixMillis;
}

const SET_PHASE = prepared((db, copy: PhaseChange) =>
  db
    .updateTable('copies')
    .set((e) => ({
      phase: copy.phase,
      code: copy.code,
      until: copy.until,
      holder: copy.holder,
      since: e.fn.coalesce(
        e.val(copy.since),
        e.case().when('phase', '=', copy.phase).then(e.ref('since')).else(copy.now).end(),
      ),
    }))
    .where('snapshot', '=', copy.snapshot)
    .where('center', '=', copy.center)
    .where('phase', 'in', OPEN_PHASES),
);

export interface ReceiptedCopy {
  readonly snapshot: SnapshotId;
  readonly center: CenterId;
  readonly receipt: Uint8Array;
  readonly arrivedAt: UnixMillis;
}

/** Also of a copy that was given up: a receipt says what is there. False if it was safe already. */
export async function markSafe(db: Database, copy: ReceiptedCopy, now: UnixMillis): Promise<boolean> {
  return await markArrived(db, copy, 'safe', now);
}

/** @param phase `held` for a relay's own. False if it was so already. */
export async function markArrived(
  db: Database,
  copy: ReceiptedCopy,
  phase: 'safe' | 'held',
  now: UnixMillis,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('copies')
    .set({
      phase,
      code: '',
      until: null,
      holder: null,
      since: now,
      receipt: copy.receipt,
      arrived_at: copy.arrivedAt,
    })
    .where('snapshot', '=', copy.snapshot)
    .where('center', '=', copy.center)
    .where('phase', '!=', phase)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Of these centers, in one of these phases. */
export async function copiesIn(
  db: Database,
  centers: readonly CenterId[],
  phases: readonly CopyPhase[],
): Promise<CopyRow[]> {
  return await COPIES_IN.rows(db, { centers: JSON.stringify(centers), phases: JSON.stringify(phases) });
}

const COPIES_IN = prepared((db, { centers, phases }: { centers: string; phases: string }) =>
  db
    .selectFrom('copies')
    .selectAll()
    .where('phase', 'in', each<CopyPhase>(phases))
    .where('center', 'in', each<CenterId>(centers))
    .orderBy('snapshot'),
);

/** What of one job is still to come to a center. */
export interface OpenJob {
  readonly client: ClientId;
  readonly job: string;
  readonly snapshots: number;
  /** What has to travel of them. */
  readonly bytes: number;
}

export async function openJobsAt(db: Database, center: CenterId): Promise<OpenJob[]> {
  return await db
    .selectFrom('copies')
    .innerJoin('snapshots', 'snapshots.id', 'copies.snapshot')
    .select((e) => ['client', 'job', e.fn.countAll<number>().as('snapshots')])
    .select((e) => e.fn.sum<number>('new_bytes').as('bytes'))
    .where('copies.phase', 'in', OPEN_PHASES)
    .where('copies.center', '=', center)
    .groupBy(['client', 'job'])
    .execute();
}

/** Nothing is to come here any more; should it be offered again, it is new. */
export async function forgetCopy(db: Database, snapshot: SnapshotId, center: CenterId): Promise<void> {
  await db
    .deleteFrom('copies')
    .where('snapshot', '=', snapshot)
    .where('center', '=', center)
    .where('phase', 'in', OPEN_PHASES)
    .execute();
}

/** What the nodes above tell of the way up. */
export async function setHops(db: Database, copy: CopyOf, hops: readonly Hop[]): Promise<void> {
  await SET_HOPS.execute(db, { ...copy, hops: JSON.stringify(hops) });
}

/** What the node above foresees; null for nothing. */
export async function setExpected(db: Database, copy: CopyOf, expected: Expected | null): Promise<void> {
  await SET_EXPECTED.execute(db, { ...copy, expected: expected === null ? null : JSON.stringify(expected) });
}

const SET_HOPS = prepared((db, { snapshot, center, hops }: CopyOf & Pick<CopyRow, 'hops'>) =>
  db.updateTable('copies').set({ hops }).where('snapshot', '=', snapshot).where('center', '=', center),
);

const SET_EXPECTED = prepared((db, { snapshot, center, expected }: CopyOf & Pick<CopyRow, 'expected'>) =>
  db.updateTable('copies').set({ expected }).where('snapshot', '=', snapshot).where('center', '=', center),
);

/** No transfer outlives the process, or the connection, that it was part of. */
export async function endTransit(
  db: Database,
  center: CenterId,
  code: string,
  now: UnixMillis,
): Promise<void> {
  await db
    .updateTable('copies')
    .set({ phase: 'waiting', code, until: null, since: now })
    .where('phase', '=', 'in-transit')
    .where('center', '=', center)
    .execute();
}

/** The center does not have any more what it receipted: its word is kept as history, the status says the truth. */
export async function downgradeCopy(
  db: Database,
  snapshot: SnapshotId,
  center: CenterId,
  now: UnixMillis,
): Promise<void> {
  await db
    .updateTable('copies')
    .set({ phase: 'behind', code: 'center-went-back', until: null, since: now })
    .where('snapshot', '=', snapshot)
    .where('center', '=', center)
    .execute();
}

export interface Released {
  /** Copies that are owed no more. */
  readonly released: number;
  /** Copies that stay owed, because they are owed to nobody else and nobody else has them. */
  readonly kept: number;
}

/**
 * The operator's word that nothing is owed to a center any more: its open copies are void, on record in the history.
 * @param own the node's own id, if it is a relay: that it has a copy itself does not count
 */
export async function releaseCenter(
  ledger: Ledger,
  center: CenterId,
  now: UnixMillis,
  own: CenterId | null = null,
): Promise<Released> {
  return await ledger.transaction(async (db) => {
    const open = await copiesIn(db, [center], OPEN_PHASES);
    let released = 0;
    for (const { snapshot } of open) {
      const others = (await copiesOf(db, snapshot)).filter(
        (copy) => copy.center !== center && copy.center !== own && copy.phase !== 'void',
      );
      if (others.length === 0) continue;
      await setPhase(db, { snapshot, center, phase: 'void', code: 'released', until: null }, now);
      await appendHistory(db, snapshot, 'released', now, { center });
      released++;
    }
    return { released, kept: open.length - released };
  });
}

/** Null if nothing was foreseen, or what was matters no more. */
export function expectedIn({ phase, expected }: Pick<CopyRow, 'phase' | 'expected'>): Expected | null {
  const open = phase === 'waiting' || phase === 'in-transit' || phase === 'held';
  return open && expected !== null ? (JSON.parse(expected) as Expected) : null;
}

export function copyState(row: CopyRow): CopyState {
  const { snapshot, center, phase, code, until, since, holder } = row;
  return { snapshot, center, phase, code, until, since, holder, expected: expectedIn(row) };
}
