import type { CenterId, ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';
import { each, prepared } from './prepared.ts';
import type { ClientRow } from './tables.ts';

const CLIENT = prepared((db, { id }: { id: ClientId }) =>
  db.selectFrom('clients').selectAll().where('id', '=', id),
);

export async function findClient(db: Database, id: ClientId): Promise<ClientRow | null> {
  return await CLIENT.first(db, { id });
}

export async function findClientByName(db: Database, name: string): Promise<ClientRow | null> {
  return (await db.selectFrom('clients').selectAll().where('name', '=', name).executeTakeFirst()) ?? null;
}

export async function listClients(db: Database): Promise<ClientRow[]> {
  return await db.selectFrom('clients').selectAll().orderBy('name').execute();
}

export type NewClient = Pick<ClientRow, 'id' | 'name' | 'role' | 'instance_key' | 'pass' | 'enrolled_at'> & {
  readonly node?: CenterId | null;
};

/** Enrolls, or renews the pass of a client that is enrolled already. */
export async function putClient(db: Database, client: NewClient): Promise<void> {
  const { pass, name, node = null } = client;
  await db
    .insertInto('clients')
    .values({
      ...client,
      node,
      address: null,
      seen_at: null,
      revoked_at: null,
      session: null,
      session_before: null,
    })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ pass, name, node, revoked_at: null }))
    .execute();
}

/** A client that has not come here itself: what others tell of it. */
export type Newcomer = Omit<NewClient, 'enrolled_at'>;

/**
 * Registers a client that somebody else tells of, unless it is known. Whoever has its name already keeps that: names are
 * what people call it here, and nobody's right.
 */
export async function addNewcomer(db: Database, newcomer: Newcomer, now: UnixMillis): Promise<void> {
  if ((await findClient(db, newcomer.id)) !== null) return;
  const name = await freeName(db, newcomer);
  await putClient(db, { ...newcomer, name, enrolled_at: now });
}

async function freeName(db: Database, { id, name }: Newcomer): Promise<string> {
  for (let digits = 0; ; digits = digits === 0 ? 8 : digits + 1) {
    // With all of its id the rest counts on.
    const more = digits > id.length ? `${id}-${digits - id.length}` : id.slice(0, digits);
    const candidate = digits === 0 ? name : `${name}-${more}`;
    if ((await findClientByName(db, candidate)) === null) return candidate;
  }
}

/** It has said that it left: it comes in with a new token only, and then as if for the first time. */
export async function dropPass(db: Database, id: ClientId): Promise<void> {
  const none = { pass: '', session: null, session_before: null };
  await db.updateTable('clients').set(none).where('id', '=', id).execute();
}

/** `at`: null lets it in again. */
export async function setRevoked(db: Database, id: ClientId, at: UnixMillis | null): Promise<void> {
  await db.updateTable('clients').set({ revoked_at: at }).where('id', '=', id).execute();
}

/** They are connected now, or were until now. */
export async function setSeen(db: Database, clients: readonly ClientId[], now: UnixMillis): Promise<void> {
  await SET_SEEN.execute(db, { clients: JSON.stringify(clients), now });
}

const SET_SEEN = prepared((db, { clients, now }: { clients: string; now: UnixMillis }) =>
  db.updateTable('clients').set({ seen_at: now }).where('id', 'in', each<ClientId>(clients)),
);

export async function setSession(
  db: Database,
  id: ClientId,
  session: { token: string; before: string | null; address: string | null },
  now: UnixMillis,
): Promise<void> {
  await db
    .updateTable('clients')
    .set({ session: session.token, session_before: session.before, address: session.address, seen_at: now })
    .where('id', '=', id)
    .execute();
}
