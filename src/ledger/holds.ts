import type { ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';
import type { ClientRow } from './tables.ts';

/** The operator's word that nothing is collected from a client for the time being. */
export interface Held {
  readonly since: UnixMillis;
  /** Null: until it is released. */
  readonly until: UnixMillis | null;
  /** In the operator's words; may be empty. */
  readonly why: string;
}

/** Null releases it. */
export async function setHeld(db: Database, client: ClientId, held: Held | null): Promise<void> {
  const { since = null, until = null, why = null } = held ?? {};
  const columns = { held_since: since, held_until: until, held_why: why };
  await db.updateTable('clients').set(columns).where('id', '=', client).execute();
}

/** Null also for a hold that is over. */
export function heldOf(row: ClientRow, now: UnixMillis): Held | null {
  const { held_since: since, held_until: until, held_why: why } = row;
  if (since === null || (until !== null && until <= now)) return null;
  return { since, until, why: why ?? '' };
}
