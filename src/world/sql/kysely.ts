import {
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
} from 'kysely';
import type { SqlConnection, SqlValue } from '../ports.ts';

/**
 * Kysely on one connection, which `destroy` closes. A query or transaction waits until the one before it ends: inside
 * `transaction().execute(callback)` use the transaction only, as the outer object would wait for it for ever.
 */
export function kyselyOver<Tables>(connection: SqlConnection): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new TakingTurns(),
      createDriver: () => new ConnectionDriver(connection),
      createIntrospector: (database) => new SqliteIntrospector(database),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
}

/** The driver has one after another wait already. */
class TakingTurns extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

class ConnectionDriver implements Driver {
  readonly #connection: SqlConnection;
  readonly #queries: ConnectionQueries;
  #last: Promise<void> = Promise.resolve();
  #release: () => void = () => {};

  constructor(connection: SqlConnection) {
    this.#connection = connection;
    this.#queries = new ConnectionQueries(connection);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#last;
    this.#last = promise;
    await before;
    this.#release = resolve;
    return this.#queries;
  }

  async releaseConnection(): Promise<void> {
    this.#release();
  }

  /** Immediate: a transaction that reads first and writes later could otherwise find the database locked half-way. */
  async beginTransaction(): Promise<void> {
    await this.#connection.execute('BEGIN IMMEDIATE', []);
  }

  async commitTransaction(): Promise<void> {
    await this.#connection.execute('COMMIT', []);
  }

  async rollbackTransaction(): Promise<void> {
    await this.#connection.execute('ROLLBACK', []).catch((error: unknown) => {
      // SQLite has rolled back by itself, for instance when the disk was full: the first error is the one to tell.
      if (!String(error).includes('no transaction is active')) throw error;
    });
  }

  async destroy(): Promise<void> {
    await this.#connection.close();
  }
}

class ConnectionQueries implements DatabaseConnection {
  readonly #connection: SqlConnection;

  constructor(connection: SqlConnection) {
    this.#connection = connection;
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const result = await this.#connection.execute(sql, parameters as readonly SqlValue[]);
    return {
      rows: result.rows as Row[],
      numAffectedRows: BigInt(result.changes),
      insertId: BigInt(result.lastInsertRowid),
    };
  }

  /** One answer: a statement is bounded by its LIMIT. */
  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    yield await this.executeQuery<Row>(query);
  }
}
