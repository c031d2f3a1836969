import { Turns } from '../../model/turns.ts';
import type { SqlConnection, SqlResult, SqlValue } from '../ports.ts';

/** A statement or a part of one: text with a `?` for each parameter. */
export interface Sql {
  readonly text: string;
  readonly parameters: readonly SqlValue[];
}

/** SQL written out: an Sql in it becomes part of the text, every other value a parameter. */
export function sql(texts: TemplateStringsArray, ...values: readonly (SqlValue | Sql)[]): Sql {
  let text = texts[0]!;
  const parameters: SqlValue[] = [];
  for (const [at, value] of values.entries()) {
    const part = isSql(value) ? value : { text: '?', parameters: [value] };
    text += part.text + texts[at + 1]!;
    parameters.push(...part.parameters);
  }
  return { text, parameters };
}

/** Text without parameters that is made elsewhere. Never of what comes from outside. */
export const rawSql = (text: string): Sql => ({ text, parameters: [] });

function isSql(value: SqlValue | Sql): value is Sql {
  return typeof value === 'object' && value !== null && 'parameters' in value;
}

/** What statements go to: a database, or one transaction of it. */
export interface SqlSession {
  /** Whoever asks says what the rows look like. */
  rows<Row extends object>(statement: Sql): Promise<Row[]>;
  /** @returns how many rows were changed */
  change(statement: Sql): Promise<number>;
}

/**
 * A database for those whose SQL is written out: opening a depot must not wait for a query builder to be loaded. A
 * statement or transaction waits until the one before it ends: inside `transaction(work)` use what `work` is given, as
 * the database itself would wait for it for ever.
 */
export class SqlDatabase implements SqlSession {
  readonly #connection: SqlConnection;
  readonly #session: SqlSession;
  readonly #turns = new Turns();

  constructor(connection: SqlConnection) {
    this.#connection = connection;
    this.#session = new ConnectionSession(connection);
  }

  async rows<Row extends object>(statement: Sql): Promise<Row[]> {
    return await this.#turns.take(() => this.#session.rows<Row>(statement));
  }

  async change(statement: Sql): Promise<number> {
    return await this.#turns.take(() => this.#session.change(statement));
  }

  /** All of it or, if `work` rejects, nothing. */
  async transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
    return await this.#turns.take(() => transactionOn(this.#connection, () => work(this.#session)));
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}

class ConnectionSession implements SqlSession {
  readonly #connection: SqlConnection;

  constructor(connection: SqlConnection) {
    this.#connection = connection;
  }

  async rows<Row extends object>(statement: Sql): Promise<Row[]> {
    return (await this.#execute(statement)).rows as unknown as Row[];
  }

  async change(statement: Sql): Promise<number> {
    return (await this.#execute(statement)).changes;
  }

  #execute({ text, parameters }: Sql): Promise<SqlResult> {
    return this.#connection.execute(text, parameters);
  }
}

/**
 * One transaction on a connection that nobody else uses meanwhile. Immediate: one that reads first and writes later
 * could otherwise find the database locked half-way.
 */
export async function transactionOn<T>(connection: SqlConnection, work: () => Promise<T>): Promise<T> {
  await connection.execute('BEGIN IMMEDIATE', []);
  try {
    const result = await work();
    await connection.execute('COMMIT', []);
    return result;
  } catch (error) {
    // The first error is the one to tell; SQLite may have rolled back by itself.
    await connection.execute('ROLLBACK', []).catch(() => undefined);
    throw error;
  }
}
