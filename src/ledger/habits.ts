import type { ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';

/** How a client used to send here, the newest last: @see SeenTransfer, SeenStay in src/schedule/seen.ts. */
export interface Habits {
  readonly transfers: readonly {
    readonly endedAt: UnixMillis;
    readonly bytes: number;
    readonly ms: number;
    readonly granted: number | null;
  }[];
  readonly stays: readonly { readonly from: UnixMillis; readonly until: UnixMillis }[];
}

/** Of each kind so many are kept: some weeks of a nightly backup. */
const KEPT = 32;
const NONE: Habits = { transfers: [], stays: [] };

export async function habitsOf(db: Database, client: ClientId): Promise<Habits> {
  const row = await db.selectFrom('habits').selectAll().where('client', '=', client).executeTakeFirst();
  if (row === undefined) return NONE;
  const { transfers, stays } = row;
  return {
    transfers: JSON.parse(transfers) as Habits['transfers'],
    stays: JSON.parse(stays) as Habits['stays'],
  };
}

/** Appends to them; what is oldest goes. Inside a transaction: it reads before it writes. */
export async function addHabits(db: Database, client: ClientId, news: Partial<Habits>): Promise<void> {
  const known = await habitsOf(db, client);
  const transfers = JSON.stringify([...known.transfers, ...(news.transfers ?? [])].slice(-KEPT));
  const stays = JSON.stringify([...known.stays, ...(news.stays ?? [])].slice(-KEPT));
  await db
    .insertInto('habits')
    .values({ client, transfers, stays })
    .onConflict((conflict) => conflict.column('client').doUpdateSet({ transfers, stays }))
    .execute();
}
