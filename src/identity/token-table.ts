import type { ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from '../ledger/ledger.ts';
import type { TokenRow } from '../ledger/tables.ts';

export type NewToken = Omit<TokenRow, 'used_at' | 'used_by'>;

export async function insertToken(db: Database, token: NewToken): Promise<void> {
  await db
    .insertInto('tokens')
    .values({ ...token, used_at: null, used_by: null })
    .execute();
}

export async function findToken(db: Database, hash: string): Promise<TokenRow | null> {
  return (await db.selectFrom('tokens').selectAll().where('hash', '=', hash).executeTakeFirst()) ?? null;
}

/** Newest first. The hashes do not give the secrets away. */
export async function listTokens(db: Database): Promise<TokenRow[]> {
  return await db.selectFrom('tokens').selectAll().orderBy('created_at', 'desc').orderBy('hash').execute();
}

/** Nothing happens if there is none, or if it was used: what a used token did stays on record. */
export async function removeToken(db: Database, hash: string): Promise<void> {
  await db.deleteFrom('tokens').where('hash', '=', hash).where('used_at', 'is', null).execute();
}

/** @returns false if it had been used before: exactly one caller gets true */
export async function consumeToken(
  db: Database,
  hash: string,
  client: ClientId,
  now: UnixMillis,
): Promise<boolean> {
  const result = await db
    .updateTable('tokens')
    .set({ used_at: now, used_by: client })
    .where('hash', '=', hash)
    .where('used_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}
