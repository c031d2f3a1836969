import { type Expression, sql, type SqlBool } from 'kysely';
import type { CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import type { Database } from './ledger.ts';
import { prepared } from './prepared.ts';

/** Of a snapshot `s`: a later complete one of its job is safe at `center`. */
const laterIsSafeAt = (center: CenterId | Expression<CenterId>) => sql<SqlBool>`EXISTS (
  SELECT 1 FROM snapshots AS later JOIN copies AS there ON there.snapshot = later.id
  WHERE later.instance = s.instance AND later.job = s.job AND later.sequence > s.sequence AND later.complete = 1
    AND there.center = ${center} AND there.phase = 'safe')`;

/** Copies that cannot come any more, at centers that have a later complete snapshot of their job. */
export async function supersededCopies(
  db: Database,
): Promise<readonly { readonly id: SnapshotId; readonly center: CenterId }[]> {
  return await SUPERSEDED.rows(db, {});
}

const SUPERSEDED = prepared((db) =>
  db
    .selectFrom('copies')
    .innerJoin('snapshots as s', 's.id', 'copies.snapshot')
    .select(['s.id', 'copies.center'])
    .where('copies.phase', 'in', ['behind', 'stuck'])
    .where(laterIsSafeAt(sql.ref<CenterId>('copies.center'))),
);

/**
 * Snapshots that have left this node and were never owed to `center`, which has a later complete one of their job: what
 * a branch above may keep for that center without their owner knowing. Looks through all that was ever here.
 * @param client null: of every machine
 */
export async function supersededAt(
  db: Database,
  client: ClientId | null,
  center: CenterId,
): Promise<readonly SnapshotId[]> {
  const rows = await db
    .selectFrom('snapshots as s')
    .select('s.id')
    .$if(client !== null, (query) => query.where('s.client', '=', client))
    .where('s.pack_group', 'is', null)
    .where((e) =>
      e.not(
        e.exists(
          e
            .selectFrom('copies')
            .select('copies.snapshot')
            .whereRef('copies.snapshot', '=', 's.id')
            .where('copies.center', '=', center),
        ),
      ),
    )
    .where(laterIsSafeAt(center))
    .orderBy('s.id')
    .execute();
  return rows.map(({ id }) => id);
}
