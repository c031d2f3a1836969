import type { CopyPhase, CopyState } from '../model/exchange.ts';
import type { CenterId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';
import type { CopyRow } from './tables.ts';

/** Says that `snapshot` is owed to `center`. Idempotent. */
export async function oweCopy(
  db: Database,
  snapshot: SnapshotId,
  center: CenterId,
  now: UnixMillis,
): Promise<void> {
  await db
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
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function copiesOf(db: Database, snapshot: SnapshotId): Promise<CopyRow[]> {
  return await db
    .selectFrom('copies')
    .selectAll()
    .where('snapshot', '=', snapshot)
    .orderBy('center')
    .execute();
}

export async function findCopy(
  db: Database,
  snapshot: SnapshotId,
  center: CenterId,
): Promise<CopyRow | null> {
  const row = await db
    .selectFrom('copies')
    .selectAll()
    .where('snapshot', '=', snapshot)
    .where('center', '=', center)
    .executeTakeFirst();
  return row ?? null;
}

/** A step towards safety. What is safe or void stays so: only `downgradeCopy` takes a receipt's word back. */
export async function setPhase(
  db: Database,
  copy: {
    snapshot: SnapshotId;
    center: CenterId;
    phase: Exclude<CopyPhase, 'safe'>;
    code: string;
    until: UnixMillis | null;
  },
  now: UnixMillis,
): Promise<void> {
  await db
    .updateTable('copies')
    .set((e) => ({
      phase: copy.phase,
      code: copy.code,
      until: copy.until,
      since: e.case().when('phase', '=', copy.phase).then(e.ref('since')).else(now).end(),
    }))
    .where('snapshot', '=', copy.snapshot)
    .where('center', '=', copy.center)
    .where('phase', 'not in', ['safe', 'void'])
    .execute();
}

export async function markSafe(
  db: Database,
  copy: { snapshot: SnapshotId; center: CenterId; receipt: Uint8Array; arrivedAt: UnixMillis },
  now: UnixMillis,
): Promise<void> {
  await db
    .updateTable('copies')
    .set({
      phase: 'safe',
      code: '',
      until: null,
      since: now,
      receipt: copy.receipt,
      arrived_at: copy.arrivedAt,
    })
    .where('snapshot', '=', copy.snapshot)
    .where('center', '=', copy.center)
    .where('phase', '!=', 'safe')
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

export function copyState(row: CopyRow): CopyState {
  const { snapshot, center, phase, code, until, since } = row;
  return { snapshot, center, phase, code, until, since };
}
