import { type Leaving, openLeaving, openMembership } from '../format/membership.ts';
import type { Member } from '../model/exchange.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';
import { prepared } from './prepared.ts';
import type { LeavingRow, MemberRow } from './tables.ts';

/** So many words of one machine are kept, the newest: it may leave as often as it likes. */
const LEAVINGS_MAX = 16;

/** By the newest word that is known of it; null if it never left that node. */
export async function leftAt(db: Database, client: ClientId, node: CenterId): Promise<UnixMillis | null> {
  return (await LEAVING.first(db, { client, node }))?.at ?? null;
}

const LEAVING = prepared((db, { client, node }: { client: ClientId; node: CenterId }) =>
  db.selectFrom('leavings').select('at').where('client', '=', client).where('node', '=', node),
);

export async function listLeavings(db: Database): Promise<LeavingRow[]> {
  return await LEAVINGS.rows(db, {});
}

const LEAVINGS = prepared((db) => db.selectFrom('leavings').selectAll().orderBy('client').orderBy('node'));

/** By client, those that have left anything. */
export async function leavingsOf(
  db: Database,
  clients: readonly ClientId[],
): Promise<ReadonlyMap<ClientId, readonly Uint8Array[]>> {
  const rows = await db.selectFrom('leavings').selectAll().where('client', 'in', clients).execute();
  const lists = Map.groupBy(rows, ({ client }) => client);
  return new Map([...lists].map(([client, list]) => [client, list.map(({ record }) => record)]));
}

/** Words of machines of which `relay` tells, as far as they have left what it says that they joined. */
export async function leavingsBelow(
  db: Database,
  relay: ClientId,
  members: readonly Member[],
): Promise<Uint8Array[]> {
  const words = members.map(({ membership }) => membership);
  const rows = await db
    .selectFrom('members')
    .innerJoin('leavings', (join) =>
      join.onRef('leavings.client', '=', 'members.client').onRef('leavings.node', '=', 'members.joined'),
    )
    .select('leavings.record')
    .where('members.via', '=', relay)
    .where('members.left_at', 'is not', null)
    .where('members.membership', 'in', words)
    .execute();
  return rows.map(({ record }) => record);
}

/** One that is newer stays. False if that says as much. */
export async function putLeaving(
  db: Database,
  { client, left: node, at }: Leaving,
  record: Uint8Array,
): Promise<boolean> {
  const known = await leftAt(db, client, node);
  if (known !== null && known >= at) return false;
  await db
    .insertInto('leavings')
    .values({ client, node, at, record })
    .onConflict((conflict) => conflict.columns(['client', 'node']).doUpdateSet({ at, record }))
    .execute();
  const newest = db
    .selectFrom('leavings')
    .select('node')
    .where('client', '=', client)
    .orderBy('at', 'desc')
    .limit(LEAVINGS_MAX);
  await db.deleteFrom('leavings').where('client', '=', client).where('node', 'not in', newest).execute();
  return true;
}

export interface TakenLeavings {
  /** Whether there is anything to tell above. */
  readonly news: boolean;
  /** The ways that are none any more. */
  readonly ended: readonly MemberRow[];
}

/**
 * Takes over machines' words that they have left. A membership that is newer stays what it is.
 * @param isOurs of whom words are taken: of others nobody here has to know
 * @throws LowtideError `wrong-signature`, `bad-request`, `newer-format`
 */
export async function takeLeavings(
  db: Database,
  records: readonly Uint8Array[],
  isOurs: (client: ClientId) => Promise<boolean>,
): Promise<TakenLeavings> {
  let news = false;
  const ended: MemberRow[] = [];
  for (const record of records) {
    const leaving = openLeaving(record);
    if (!(await isOurs(leaving.client)) || !(await putLeaving(db, leaving, record))) continue;
    news = true;
    ended.push(...(await endMemberships(db, leaving)));
  }
  return { news, ended };
}

async function endMemberships(db: Database, { client, left, at }: Leaving): Promise<MemberRow[]> {
  const rows = await db
    .selectFrom('members')
    .selectAll()
    .where('client', '=', client)
    .where('joined', '=', left)
    .execute();
  const older = rows.filter(({ membership }) => openMembership(membership).at <= at);
  for (const { via } of older) {
    await db
      .updateTable('members')
      .set({ left_at: at })
      .where('client', '=', client)
      .where('joined', '=', left)
      .where('via', '=', via)
      .execute();
  }
  return older.filter(({ left_at }) => left_at === null);
}
