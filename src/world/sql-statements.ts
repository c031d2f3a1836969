import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { LowtideError, messageOf } from '../model/errors.ts';
import type { SqlResult, SqlValue } from './ports.ts';

const STATEMENTS_MAX = 256;

interface Prepared {
  readonly statement: StatementSync;
  /** It answers with rows. */
  readonly reads: boolean;
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
    const { statement, reads, returning } = this.#prepare(sql);
    if (!reads) {
      const { changes, lastInsertRowid } = statement.run(...parameters);
      return { rows: [], changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) };
    }
    const rows = statement.all(...parameters) as Record<string, SqlValue>[];
    return {
      rows: rows.map((row) => ({ ...row })),
      changes: returning ? rows.length : 0,
      lastInsertRowid: 0,
    };
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
    const reads = statement.columns().length > 0;
    const prepared = { statement, reads, returning: reads && /\breturning\b/i.test(sql) };
    this.#prepared.set(sql, prepared);
    for (const oldest of this.#prepared.keys()) {
      if (this.#prepared.size <= STATEMENTS_MAX) break;
      this.#prepared.delete(oldest);
    }
    return prepared;
  }
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
