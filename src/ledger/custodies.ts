import type { CenterId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { OPEN_PHASES } from './copies.ts';
import type { Database } from './ledger.ts';
import { each, prepared } from './prepared.ts';
import { setPackGroup } from './snapshots.ts';
import type { CustodyRow } from './tables.ts';

/** Keeps a relay's word. The first one stays. False if it was known. */
export async function putCustody(db: Database, custody: CustodyRow): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('custodies')
    .values(custody)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return (numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** False if there was none. */
export async function dropCustody(db: Database, snapshot: SnapshotId, holder: CenterId): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('custodies')
    .where('snapshot', '=', snapshot)
    .where('holder', '=', holder)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

const CUSTODIES = prepared((db, { snapshot }: { snapshot: SnapshotId }) =>
  db.selectFrom('custodies').selectAll().where('snapshot', '=', snapshot),
);

export async function custodiesOf(db: Database, snapshot: SnapshotId): Promise<CustodyRow[]> {
  return await CUSTODIES.rows(db, { snapshot });
}

/** Those of `snapshots` that a relay has in custody, as far as is known here. */
export async function heldBy(
  db: Database,
  holder: CenterId,
  snapshots: readonly SnapshotId[],
): Promise<Pick<CustodyRow, 'snapshot' | 'receipt'>[]> {
  return await HELD_BY.rows(db, { holder, snapshots: JSON.stringify(snapshots) });
}

const HELD_BY = prepared((db, { holder, snapshots }: { holder: CenterId; snapshots: string }) =>
  db
    .selectFrom('custodies')
    .select(['snapshot', 'receipt'])
    .where('holder', '=', holder)
    .where('snapshot', 'in', each<SnapshotId>(snapshots)),
);

/** What is open still and relays other than `holder` have had in custody since then, as far as is known here. */
export async function heldByOthers(db: Database, holder: CenterId, since: UnixMillis): Promise<SnapshotId[]> {
  const rows = await HELD_BY_OTHERS.rows(db, { holder, since });
  return rows.map(({ snapshot }) => snapshot);
}

const HELD_BY_OTHERS = prepared((db, { holder, since }: { holder: CenterId; since: UnixMillis }) =>
  db
    .selectFrom('custodies')
    .select('snapshot')
    .distinct()
    .where('snapshot', 'in', (e) => e.selectFrom('copies').select('snapshot').where('phase', '=', 'held'))
    .where('holder', '!=', holder)
    .where('since', '>', since),
);

/** Relays that have in custody what a snapshot here leans on, and that is not safe everywhere yet. */
export async function holdersOfBases(
  db: Database,
): Promise<{ readonly snapshot: SnapshotId; readonly holder: CenterId }[]> {
  return await HOLDERS_OF_BASES.rows(db, {});
}

const HOLDERS_OF_BASES = prepared((db) =>
  db
    .selectFrom('snapshots')
    .innerJoin('custodies', 'custodies.snapshot', 'snapshots.base')
    .select(['snapshots.id as snapshot', 'custodies.holder'])
    .where('snapshots.pack_group', 'is not', null)
    .where('snapshots.base', 'in', (e) =>
      e.selectFrom('copies').select('snapshot').where('phase', '=', 'held'),
    ),
);

export async function allCustodies(db: Database): Promise<Pick<CustodyRow, 'snapshot' | 'holder'>[]> {
  return await db.selectFrom('custodies').select(['snapshot', 'holder']).execute();
}

/** A relay cannot keep what it has signed for: its own copy must come again, and what it passes on waits for that. */
export async function custodyTakenBack(
  db: Database,
  snapshot: SnapshotId,
  relay: CenterId,
  now: UnixMillis,
): Promise<void> {
  const back = { phase: 'waiting', code: 'custody-lost', until: null, holder: null, since: now } as const;
  const open = db.updateTable('copies').where('snapshot', '=', snapshot).where('phase', 'in', OPEN_PHASES);
  await open.set(back).execute();
  await open.set({ receipt: null, arrived_at: null }).where('center', '=', relay).execute();
  await setPackGroup(db, snapshot, null);
}
