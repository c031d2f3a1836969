import type { SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { copiesOf } from './copies.ts';
import type { Database } from './ledger.ts';

/** A snapshot that a relay had in custody and has lost, after its blocks were freed here on that relay's word. */
export interface Loss {
  readonly snapshot: SnapshotId;
  /** When this machine heard of it. */
  readonly at: UnixMillis;
  /** Name of the relay. */
  readonly holder: string;
}

/** One fact each: there are few, and they go again. */
const PREFIX = 'lost/';

/** The first word on it stays. False if there was one. */
export async function noteLoss(db: Database, { snapshot, at, holder }: Loss): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('facts')
    .values({ name: PREFIX + snapshot, value: JSON.stringify({ at, holder }) })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return (numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** A snapshot that has come to a center after all is not lost. */
export async function listLosses(db: Database): Promise<Loss[]> {
  const rows = await db
    .selectFrom('facts')
    .selectAll()
    .where('name', '>=', PREFIX)
    .where('name', '<', `${PREFIX}g`)
    .execute();
  const losses: Loss[] = [];
  for (const { name, value } of rows) {
    const snapshot = name.slice(PREFIX.length) as SnapshotId;
    if ((await copiesOf(db, snapshot)).some(({ phase }) => phase === 'safe')) continue;
    losses.push({ snapshot, ...(JSON.parse(value) as Pick<Loss, 'at' | 'holder'>) });
  }
  return losses;
}

/** As if it had never been: for what could be told of it, see src/node/agent/loss-notes.ts. */
export async function forgetLoss(db: Database, snapshot: SnapshotId): Promise<void> {
  await db
    .deleteFrom('facts')
    .where('name', '=', PREFIX + snapshot)
    .execute();
}
