import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { LowtideError, messageOf } from '../../model/errors.ts';
import type { SqlResult, SqlValue } from '../ports.ts';

const STATEMENTS_MAX = 256;

type Row = Record<string, SqlValue>;

interface Prepared {
  readonly statement: StatementSync;
  /** Names of what it answers with; none if it answers with no rows. */
  readonly columns: readonly string[];
  /** Each row of its answer is a row that it changed. */
  readonly returning: boolean;
}

/** The statements of one node:sqlite database, prepared once each: what every SqlConnection runs on, real or simulated. */
export class SqliteStatements {
  readonly #database: DatabaseSync;
  /** The least recently used first. */
  readonly #prepared = new Map<string, Prepared>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** @throws TypeError if the text has more than one statement, else what node:sqlite throws */
  run(sql: string, parameters: readonly SqlValue[]): SqlResult {
    const { statement, columns, returning } = this.#prepare(sql);
    if (columns.length === 0) {
      const { changes, lastInsertRowid } = statement.run(...parameters);
      if (CHANGES_TABLES.test(sql)) this.forget();
      return { rows: [], changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) };
    }
    const found = statement.all(...parameters) as unknown as SqlValue[][];
    // Somebody else has changed the tables.
    const isStale = found.length > 0 && found[0]!.length !== columns.length;
    const names = isStale ? columnsOf(statement) : columns;
    const rows = found.map((values) => rowOf(names, values));
    return { rows, changes: returning ? rows.length : 0, lastInsertRowid: 0 };
  }

  forget(): void {
    this.#prepared.clear();
  }

  #prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql);
    if (known !== undefined) {
      this.#prepared.delete(sql);
      this.#prepared.set(sql, known);
      return known;
    }
    const statement = this.#database.prepare(sql);
    requireOneStatement(sql, statement.sourceSQL);
    const columns = columnsOf(statement);
    statement.setReturnArrays(true);
    const prepared = { statement, columns, returning: columns.length > 0 && /\breturning\b/i.test(sql) };
    this.#prepared.set(sql, prepared);
    for (const oldest of this.#prepared.keys()) {
      if (this.#prepared.size <= STATEMENTS_MAX) break;
      this.#prepared.delete(oldest);
    }
    return prepared;
  }
}

/** What it answers with may be something else after one of these. */
const CHANGES_TABLES = /^\s*(?:create|alter|drop)\b/i;

const columnsOf = (statement: StatementSync): string[] => statement.columns().map(({ name }) => name);

/** Made here, as SQLite's own rows are slow objects that have to be copied to be plain ones. */
function rowOf(names: readonly string[], values: readonly SqlValue[]): Row {
  const row: Row = {};
  for (let at = 0; at < names.length; at++) row[names[at]!] = values[at]!;
  return row;
}

/** SQLite would silently leave out what follows the first statement. */
function requireOneStatement(sql: string, first: string): void {
  const at = sql.indexOf(first);
  if (/[^\s;]/.test(sql.slice(at + first.length))) throw new TypeError(`more than one SQL statement: ${sql}`);
}

/** Known to change nothing. */
export function isRead(sql: string): boolean {
  if (/^\s*(select|values|explain)\b/i.test(sql)) return true;
  if (/^\s*with\b/i.test(sql)) return !/\b(insert|update|delete|replace)\b/i.test(sql);
  return /^\s*pragma\b[^=]*$/i.test(sql);
}

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_FULL = 13;
/** READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB: the file, not the statement. */
const FILE_ERRORS = new Set([8, 10, 11, 14, 26]);

/** What the disk did becomes a LowtideError; what the statement did (constraints, syntax) stays as it is. */
export function sqlError(error: unknown, path: string): unknown {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  const options = { cause: error };
  if (code === SQLITE_BUSY || code === SQLITE_LOCKED) {
    return new LowtideError('locked', `the database ${path} is in use by somebody else`, options);
  }
  if (code === SQLITE_FULL) {
    return new LowtideError('disk-full', `the disk is full: cannot write the database ${path}`, options);
  }
  if (!FILE_ERRORS.has(code)) return error;
  return new LowtideError('disk-failed', `the database ${path} failed: ${messageOf(error)}`, options);
}
