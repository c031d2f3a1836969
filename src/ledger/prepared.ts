import {
  type Compilable,
  type CompiledQuery,
  DummyDriver,
  Kysely,
  type QueryResult,
  type RawBuilder,
  sql,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { Database } from './ledger.ts';
import type { Tables } from './tables.ts';

/** Stands in a query for a value that each execution gives. */
class Slot {
  readonly name: string | symbol;

  constructor(name: string | symbol) {
    this.name = name;
  }
}

/** Builds queries, and carries none out. */
const BUILDER = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (database) => new SqliteIntrospector(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
});

/** A query that is built once. */
export interface Prepared<Values extends object, Row> {
  execute(db: Database, values: Values): Promise<QueryResult<Row>>;
  rows(db: Database, values: Values): Promise<Row[]>;
  /** The first row, or null. */
  first(db: Database, values: Values): Promise<Row | null>;
}

/**
 * Builds a query when its module is loaded: for those that are asked for each snapshot and each message, as building one
 * costs more than SQLite needs to answer it.
 * @param build is given placeholders: it may hand them on to Kysely where a single value stands, and not look at them; nor
 *   gather some of them in an object (`{ one, ...others }`)
 */
export function prepared<Values extends object, Row>(
  build: (db: Kysely<Tables>, values: Values) => Compilable<Row>,
): Prepared<Values, Row> {
  const slots = new Proxy({}, { get: (_, name) => new Slot(name), ownKeys: refuseNames }) as Values;
  const compiled = build(BUILDER, slots).compile();
  const execute = async (db: Database, values: Values): Promise<QueryResult<Row>> =>
    await db.executeQuery(filled(compiled, values));
  const rows = async (db: Database, values: Values): Promise<Row[]> => (await execute(db, values)).rows;
  return { execute, rows, first: async (db, values) => (await rows(db, values))[0] ?? null };
}

function refuseNames(): never {
  throw new TypeError('nobody knows the names of placeholders: take each by its own');
}

/**
 * Whatever the list has: for where its length is not known when the query is built.
 * @param list as JSON
 */
export const each = <Value>(list: string): RawBuilder<Value> =>
  sql<Value>`(select value from json_each(${list}))`;

function filled<Row>(compiled: CompiledQuery<Row>, values: object): CompiledQuery<Row> {
  const parameters = compiled.parameters.map((parameter) =>
    parameter instanceof Slot ? (values as Record<string | symbol, unknown>)[parameter.name] : parameter,
  );
  return { ...compiled, parameters };
}
