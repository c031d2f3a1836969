import type { KnownClient, Page } from '../model/exchange.ts';
import type { ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { findClient } from './clients.ts';
import type { Database } from './ledger.ts';
import { leavingsOf } from './leavings.ts';
import { speaksFor } from './members.ts';
import { prepared } from './prepared.ts';
import type { MemberRow } from './tables.ts';

/** Another center: it may read what is anybody's here, and bring nothing. */
export async function isPeer(db: Database, caller: ClientId): Promise<boolean> {
  return (await findClient(db, caller))?.role === 'peer';
}

/** Whether `caller` may read what is `client`'s: whoever speaks for it, whom the operator let, and a peer. */
export async function mayRead(db: Database, caller: ClientId, client: ClientId): Promise<boolean> {
  if (await speaksFor(db, caller, client)) return true;
  return (await isReader(db, caller, client)) || (await isPeer(db, caller));
}

/** By the operator's word. */
export async function isReader(db: Database, reader: ClientId, client: ClientId): Promise<boolean> {
  return (await READER.first(db, { reader, client })) !== null;
}

const READER = prepared((db, { reader, client }: { reader: ClientId; client: ClientId }) =>
  db.selectFrom('readers').select('client').where('reader', '=', reader).where('client', '=', client),
);

/** Lets `reader` read what `client` has brought and will bring. Idempotent. */
export async function letRead(
  db: Database,
  reader: ClientId,
  client: ClientId,
  now: UnixMillis,
): Promise<void> {
  await db
    .insertInto('readers')
    .values({ reader, client, since: now })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Whose backups each client may read by the operator's word. */
export async function listReaders(db: Database): Promise<ReadonlyMap<ClientId, readonly ClientId[]>> {
  const rows = await db.selectFrom('readers').selectAll().orderBy('since').orderBy('client').execute();
  const lists = Map.groupBy(rows, ({ reader }) => reader);
  return new Map([...lists].map(([reader, list]) => [reader, list.map(({ client }) => client)]));
}

/** Clients that `caller` may read, in order of id; no peers. */
export async function readableClients(
  db: Database,
  caller: ClientId,
  after: ClientId | null,
  most: number,
): Promise<Page<KnownClient>> {
  const everybody = await isPeer(db, caller);
  const rows = await db
    .selectFrom('clients')
    .selectAll()
    .where('role', '!=', 'peer')
    .$if(after !== null, (select) => select.where('id', '>', after!))
    .$if(!everybody, (select) =>
      select.where((e) =>
        e.or([
          e('id', '=', caller),
          e('id', 'in', e.selectFrom('members').select('client').where('via', '=', caller)),
          e('id', 'in', e.selectFrom('readers').select('client').where('reader', '=', caller)),
        ]),
      ),
    )
    .orderBy('id')
    .limit(most)
    .execute();
  const ids = rows.map(({ id }) => id);
  const words = await membershipsOf(db, ids);
  const left = await leavingsOf(db, ids);
  const known = rows.map(({ id, name, role, instance_key, node, pass, revoked_at }): KnownClient => ({
    client: id,
    name,
    role: role === 'relay' ? 'relay' : 'agent',
    instanceKey: instance_key,
    node,
    pass,
    revoked: revoked_at !== null,
    memberships: words.get(id) ?? [],
    ...(left.has(id) && { left: left.get(id)! }),
  }));
  return { rows: known, next: rows.length === most ? (rows.at(-1)?.id ?? null) : null };
}

async function membershipsOf(
  db: Database,
  clients: readonly ClientId[],
): Promise<Map<ClientId, KnownClient['memberships'][number][]>> {
  if (clients.length === 0) return new Map();
  const rows: readonly MemberRow[] = await db
    .selectFrom('members')
    .selectAll()
    .where('client', 'in', clients)
    .orderBy('client')
    .orderBy('joined')
    .orderBy('via')
    .execute();
  const words = new Map<ClientId, KnownClient['memberships'][number][]>();
  for (const { client, membership, name, via } of rows) {
    const list = words.get(client) ?? [];
    list.push({ membership, name, via });
    words.set(client, list);
  }
  return words;
}
