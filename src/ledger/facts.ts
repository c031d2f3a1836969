import type { Database } from './ledger.ts';
import { prepared } from './prepared.ts';

const FACT = prepared((db, { name }: { name: string }) =>
  db.selectFrom('facts').select('value').where('name', '=', name),
);

/** One thing that a node remembers of itself; null if it does not. */
export async function factOf(db: Database, name: string): Promise<string | null> {
  return (await FACT.first(db, { name }))?.value ?? null;
}
