import type { CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import type { Database } from './ledger.ts';

/**
 * Own snapshots that have left the spool and were never owed to `center`, which has a later complete one of their job: what
 * a branch may keep for that center without their owner knowing. Looks through all that was ever taken.
 */
export async function supersededAt(
  db: Database,
  client: ClientId,
  center: CenterId,
): Promise<readonly SnapshotId[]> {
  const rows = await db
    .selectFrom('snapshots as s')
    .select('s.id')
    .where('s.client', '=', client)
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
    .where((e) =>
      e.exists(
        e
          .selectFrom('snapshots as later')
          .innerJoin('copies as there', 'there.snapshot', 'later.id')
          .select('later.id')
          .whereRef('later.instance', '=', 's.instance')
          .whereRef('later.job', '=', 's.job')
          .whereRef('later.sequence', '>', 's.sequence')
          .where('later.complete', '=', 1)
          .where('there.center', '=', center)
          .where('there.phase', '=', 'safe'),
      ),
    )
    .orderBy('s.id')
    .execute();
  return rows.map(({ id }) => id);
}
