import { sql } from 'kysely';
import type { CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import type { Database } from './ledger.ts';

/** Bytes that one may bring here, with its subtree if it is a relay; null for no bound. */
export async function setQuota(db: Database, client: ClientId, quota: number | null): Promise<void> {
  await db.updateTable('clients').set({ quota }).where('id', '=', client).execute();
}

export async function quotaOf(db: Database, client: ClientId): Promise<number | null> {
  const row = await db.selectFrom('clients').select('quota').where('id', '=', client).executeTakeFirst();
  return row?.quota ?? null;
}

export interface Counting {
  readonly node: CenterId;
  /** At a relay only what it has in custody still; at a center nothing that came ever goes. */
  readonly keptOnly: boolean;
  /** Not counted of what is on offer. */
  readonly except?: SnapshotId;
}

/**
 * What `sender` has brought here, by what arrived and not by what it said, with what came of snapshots that were withdrawn;
 * and what it has on offer, by what it says or what came of it, whichever is more.
 */
export async function broughtBy(
  db: Database,
  sender: ClientId,
  { node, keptOnly, except }: Counting,
): Promise<number> {
  const came = await db
    .selectFrom('history')
    .innerJoin('snapshots', 'snapshots.id', 'history.snapshot')
    .select((e) => e.fn.sum<number | null>('history.bytes').as('bytes'))
    .where('history.client', '=', sender)
    .where('history.center', '=', node)
    .where('history.what', 'in', ['arrived', 'voided'])
    .$if(keptOnly, (select) => select.where('snapshots.pack_group', 'is not', null))
    .executeTakeFirst();
  const offered = await db
    .selectFrom('offers')
    .innerJoin('snapshots', 'snapshots.id', 'offers.snapshot')
    .select(sql<number | null>`sum(max(snapshots.new_bytes, offers.received))`.as('bytes'))
    .where('offers.client', '=', sender)
    .$if(except !== undefined, (select) => select.where('offers.snapshot', '!=', except!))
    .executeTakeFirst();
  return (came?.bytes ?? 0) + (offered?.bytes ?? 0);
}
