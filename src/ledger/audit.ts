import type { UnixMillis } from '../model/time.ts';
import type { Database, Ledger } from './ledger.ts';
import type { AuditRow } from './tables.ts';

/** Settings key by key, as people wrote them. */
export type Written = Readonly<Record<string, string>>;
export type Change = Pick<AuditRow, 'key' | 'before' | 'after'>;

const FACT = 'conditions/written';

/** Brings what is in force into the ledger, and what has changed since it was there last; answers that. */
export async function noteConditions(ledger: Ledger, written: Written, now: UnixMillis): Promise<Change[]> {
  const known = await ledger.fact(FACT);
  const before = known === null ? null : (JSON.parse(known) as Written);
  const value = JSON.stringify(written);
  if (value === known) return [];
  const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(written)]);
  const changes = [...keys]
    .map((key) => ({ key, before: before?.[key] ?? null, after: written[key] ?? null }))
    .filter((change) => before !== null && change.before !== change.after);
  await ledger.transaction(async (db) => {
    for (const change of changes) await noteChange(db, change, now);
    await db
      .insertInto('facts')
      .values({ name: FACT, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute();
  });
  return changes;
}

/** One that was made by a command. */
export async function noteChange(db: Database, change: Change, now: UnixMillis): Promise<void> {
  await db
    .insertInto('audit')
    .values({ ...change, at: now })
    .execute();
}

/** Newest first. */
export async function lastChanges(db: Database, most: number): Promise<AuditRow[]> {
  return await db.selectFrom('audit').selectAll().orderBy('id', 'desc').limit(most).execute();
}
