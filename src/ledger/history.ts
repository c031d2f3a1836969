import type { CenterId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';
import type { HistoryKind, HistoryRow, NewHistoryRow } from './tables.ts';

type Details = Partial<Pick<NewHistoryRow, 'center' | 'client' | 'address' | 'bytes' | 'code'>>;

/** Appends one line to a snapshot's transfer history (SEED 223-4). */
export async function appendHistory(
  db: Database,
  snapshot: SnapshotId,
  what: HistoryKind,
  at: UnixMillis,
  details: Details = {},
): Promise<void> {
  await db
    .insertInto('history')
    .values({ snapshot, at, what, center: null, client: null, address: null, bytes: 0, code: '', ...details })
    .execute();
}

export async function historyOf(db: Database, snapshot: SnapshotId): Promise<HistoryRow[]> {
  return await db.selectFrom('history').selectAll().where('snapshot', '=', snapshot).orderBy('id').execute();
}

/** @param code only with this one */
export async function hasHappened(
  db: Database,
  snapshot: SnapshotId,
  what: HistoryKind,
  center: CenterId,
  code?: string,
): Promise<boolean> {
  const row = await db
    .selectFrom('history')
    .select('id')
    .where('snapshot', '=', snapshot)
    .where('what', '=', what)
    .where('center', '=', center)
    .$if(code !== undefined, (select) => select.where('code', '=', code!))
    .executeTakeFirst();
  return row !== undefined;
}
