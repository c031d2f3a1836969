import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { LowtideError, messageOf } from '../model/errors.ts';
import { diskError, errnoName } from './errno.ts';
import type { Databases, SqlConnection, SqlResult, SqlValue } from './ports.ts';

const FILE_MODE = 0o600;
const BUSY_MS = 5000;
const STATEMENTS_MAX = 256;

/** SQLite files through node:sqlite, which answers synchronously: a statement must be short. */
export function realDatabases(): Databases {
  return {
    async open(path) {
      await createPrivately(path);
      return openConnection(path, false);
    },
    async openReadOnly(path) {
      await fs.access(path).catch((error: unknown) => {
        throw diskError(error, 'open', path);
      });
      return openConnection(path, true);
    },
  };
}

/** SQLite gives its journal the mode of its file, and syncs the directory for the journal only. */
async function createPrivately(path: string): Promise<void> {
  try {
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
    await (await fs.open(path, flags, FILE_MODE)).close();
    const directory = await fs.open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    if (errnoName(error) !== 'EEXIST') throw diskError(error, 'create', path);
  }
}

function openConnection(path: string, readOnly: boolean): SqlConnection {
  try {
    const database = new DatabaseSync(path, {
      readOnly,
      timeout: BUSY_MS,
      enableForeignKeyConstraints: true,
      enableDoubleQuotedStringLiterals: false,
    });
    const connection = new SqliteConnection(path, database);
    if (!readOnly) database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    // Nothing is read before this: it tells a file that is no database from one.
    database.exec('SELECT count(*) FROM sqlite_schema');
    return connection;
  } catch (error) {
    throw sqlError(error, path);
  }
}

interface Prepared {
  readonly statement: StatementSync;
  /** It answers with rows. */
  readonly reads: boolean;
  /** Each row of its answer is a row that it changed. */
  readonly returning: boolean;
}

class SqliteConnection implements SqlConnection {
  readonly #path: string;
  readonly #database: DatabaseSync;
  /** The least recently used first. */
  readonly #prepared = new Map<string, Prepared>();

  constructor(path: string, database: DatabaseSync) {
    this.#path = path;
    this.#database = database;
  }

  async execute(sql: string, parameters: readonly SqlValue[]): Promise<SqlResult> {
    try {
      return this.#run(this.#prepare(sql), parameters);
    } catch (error) {
      throw sqlError(error, this.#path);
    }
  }

  async close(): Promise<void> {
    this.#prepared.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #run({ statement, reads, returning }: Prepared, parameters: readonly SqlValue[]): SqlResult {
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

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_FULL = 13;
/** READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB: the file, not the statement. */
const FILE_ERRORS = new Set([8, 10, 11, 14, 26]);

/** What the disk did becomes a LowtideError; what the statement did (constraints, syntax) stays as it is. */
function sqlError(error: unknown, path: string): unknown {
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
