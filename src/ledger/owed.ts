import type { CenterId, SnapshotId } from '../model/ids.ts';
import { OPEN_PHASES } from './copies.ts';
import type { Database } from './ledger.ts';
import { each, prepared } from './prepared.ts';
import type { SnapshotRow } from './tables.ts';

/**
 * Not yet safe at all of `centers` and still held with all its blocks, in the order in which they must commit. A snapshot that
 * a center lost after it was freed cannot be sent again: a later one without base takes its place.
 */
export async function owedTo(db: Database, centers: readonly CenterId[]): Promise<SnapshotRow[]> {
  return await OWED_TO.rows(db, { centers: JSON.stringify(centers) });
}

const OWED_TO = prepared((db, { centers }: { centers: string }) =>
  db
    .selectFrom('snapshots')
    .innerJoin('copies', 'copies.snapshot', 'snapshots.id')
    .selectAll('snapshots')
    .distinct()
    .where('copies.center', 'in', each<CenterId>(centers))
    .where('copies.phase', 'in', OPEN_PHASES)
    .where('snapshots.pack_group', 'is not', null)
    .orderBy('snapshots.instance')
    .orderBy('snapshots.job')
    .orderBy('snapshots.sequence'),
);

/** Snapshots that `relay` was to collect and need not any more: every center that it owed them to got them another way. */
export async function passedBy(db: Database, relay: CenterId): Promise<SnapshotId[]> {
  return (await PASSED_BY.rows(db, { relay })).map(({ snapshot }) => snapshot);
}

const PASSED_BY = prepared((db, { relay }: { relay: CenterId }) =>
  db
    .selectFrom('copies')
    .select('snapshot')
    .where('center', '=', relay)
    .where('phase', 'in', ['waiting', 'behind', 'stuck'])
    .where((e) => {
      const others = e
        .selectFrom('copies as other')
        .select('other.snapshot')
        .whereRef('other.snapshot', '=', 'copies.snapshot')
        .where('other.center', '!=', relay);
      return e.and([e.exists(others), e.not(e.exists(others.where('other.phase', 'in', OPEN_PHASES)))]);
    }),
);
