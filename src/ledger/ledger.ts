import type { Kysely, Transaction } from 'kysely';
import { hexOf } from '../model/bytes.ts';
import { kyselyOver } from '../world/sql/kysely.ts';
import type { SqlConnection, World } from '../world/ports.ts';
import { factOf } from './facts.ts';
import { checkSchema, migrate } from './migrations.ts';
import type { Tables } from './tables.ts';

/** A ledger or a transaction on it: every function of this room takes one. */
export type Database = Kysely<Tables> | Transaction<Tables>;

/** The database of one node. Its functions live beside it by subject: snapshots, copies, offers, history, clients, jobs. */
export class Ledger {
  readonly db: Kysely<Tables>;

  private constructor(db: Kysely<Tables>) {
    this.db = db;
  }

  /**
   * Makes it, or brings it to this program's schema.
   * @throws LowtideError `newer-format`, `locked`, and what the disk says
   */
  static async open(world: World, path: string): Promise<Ledger> {
    const incarnation = hexOf(world.random.bytes(16));
    return await opened(await world.databases.open(path), async (db) => {
      await migrate(db);
      await db
        .insertInto('facts')
        .values({ name: 'incarnation', value: incarnation })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return new Ledger(db);
    });
  }

  /**
   * For a second process beside the writer.
   * @throws LowtideError `not-found`, `newer-format`, `wrong-state`
   */
  static async openReadOnly(world: World, path: string): Promise<Ledger> {
    return await opened(await world.databases.openReadOnly(path), async (db) => {
      await checkSchema(db);
      return new Ledger(db);
    });
  }

  /** Everything in `work` becomes durable at once or not at all. Inside, use only the transaction. */
  transaction<T>(work: (transaction: Transaction<Tables>) => Promise<T>): Promise<T> {
    return this.db.transaction().execute(work);
  }

  async fact(name: string): Promise<string | null> {
    return await factOf(this.db, name);
  }

  async setFact(name: string, value: string): Promise<void> {
    await this.db
      .insertInto('facts')
      .values({ name, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute();
  }

  async close(): Promise<void> {
    await this.db.destroy();
  }
}

/** What cannot be used is closed again. */
async function opened(
  connection: SqlConnection,
  make: (db: Kysely<Tables>) => Promise<Ledger>,
): Promise<Ledger> {
  const db = kyselyOver<Tables>(connection);
  try {
    return await make(db);
  } catch (error) {
    await db.destroy();
    throw error;
  }
}
