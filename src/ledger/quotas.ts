import { sql } from 'kysely';
import type { CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import type { Database } from './ledger.ts';
import { liveMembers } from './live-members.ts';

/** Bytes that one may bring here, with its subtree if it is a relay; null for no bound. */
export async function setQuota(db: Database, client: ClientId, quota: number | null): Promise<void> {
  await db.updateTable('clients').set({ quota }).where('id', '=', client).execute();
}

export async function quotaOf(db: Database, client: ClientId): Promise<number | null> {
  const row = await db.selectFrom('clients').select('quota').where('id', '=', client).executeTakeFirst();
  return row?.quota ?? null;
}

/**
 * So many machines a relay may tell of unless the operator says otherwise. One that is not known is about a kilobyte in the
 * ledger and a look-up at every offer of its relay: ten thousand are more than any one office or region has, and no harm to a small center.
 */
export const MEMBERS_MAX = 10_000;

/** Null for `MEMBERS_MAX`. */
export async function setMembersMax(db: Database, relay: ClientId, most: number | null): Promise<void> {
  await db.updateTable('clients').set({ members_max: most }).where('id', '=', relay).execute();
}

/**
 * Machines that a relay has told of, each as often as it has joined something below. Those that have left count only where
 * they are more than any relay may tell of: signed words cost a hostile one nothing.
 */
export async function membersTold(db: Database, relay: ClientId): Promise<number> {
  const rows = await db
    .selectFrom('members')
    .select(['client', 'joined', 'via', 'node', 'left_at'])
    .where('via', '=', relay)
    .where('client', '!=', relay)
    .execute();
  const live = liveMembers(rows).size;
  return live + Math.max(0, rows.length - live - MEMBERS_MAX);
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
