import type { Collector } from '../../collect/collector.ts';
import type { Database } from '../../ledger/ledger.ts';
import type { CenterId } from '../../model/ids.ts';
import { MINUTE_MS } from '../../model/time.ts';
import type { RelayParts } from './parts.ts';

/** A center that starts again is not worth telling of. */
const LOOK_MS = MINUTE_MS;

/**
 * Tells those below when a center that is owed what is in custody here cannot be reached, and when it can again: whoever
 * asks them why it waits hears it then.
 */
export async function tellOfAway(
  { world, ledger }: Pick<RelayParts, 'world' | 'ledger'>,
  collector: Collector,
  stop: AbortSignal,
): Promise<void> {
  const { above } = collector.parts;
  let told = new Set<CenterId>();
  for (;;) {
    await world.clock.sleep(LOOK_MS, stop);
    if (stop.aborted || above === null) return;
    const since = world.clock.now() - LOOK_MS;
    const away = new Set(
      above
        .centers()
        .map(({ id }) => id)
        .filter((id) => (above.awaySince(id) ?? Infinity) <= since),
    );
    const changed = [...told.symmetricDifference(away)];
    told = away;
    if (changed.length === 0) continue;
    const waiting = Map.groupBy(await waitingFor(ledger.db, changed), ({ client }) => client);
    for (const [client, rows] of waiting)
      await collector.news(client, [...new Set(rows.map(({ id }) => id))]);
  }
}

/** In custody here, and not at these centers. */
async function waitingFor(db: Database, centers: readonly CenterId[]) {
  return await db
    .selectFrom('snapshots')
    .innerJoin('copies', 'copies.snapshot', 'snapshots.id')
    .select(['snapshots.id', 'snapshots.client'])
    .where('snapshots.pack_group', 'is not', null)
    .where('copies.center', 'in', centers)
    .where('copies.phase', 'in', ['waiting', 'in-transit'])
    .execute();
}
