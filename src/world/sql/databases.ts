import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { diskError, errnoName } from '../system/errno.ts';
import type { Databases, SqlConnection, SqlResult, SqlValue } from '../ports.ts';
import { Commits, type Journal, journalOf } from './journal.ts';
import { SqliteStatements, sqlError } from './statements.ts';
import { syncDirectory } from '../disk/sync-directory.ts';

const FILE_MODE = 0o600;
const BUSY_MS = 5000;

/**
 * SQLite files through node:sqlite, which answers synchronously: a statement must be short. What a commit needs of the
 * disk is waited for without keeping anybody else waiting.
 */
export function realDatabases(journalFor: (path: string) => Journal = journalOf): Databases {
  return {
    async open(path) {
      await createPrivately(path);
      return openConnection(path, new Commits(journalFor(path), path));
    },
    async openReadOnly(path) {
      await fs.access(path).catch((error: unknown) => {
        throw diskError(error, 'open', path);
      });
      return openConnection(path, null);
    },
  };
}

/** SQLite gives its journal the mode of its file, and syncs the directory for the journal only. */
async function createPrivately(path: string): Promise<void> {
  try {
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
    await (await fs.open(path, flags, FILE_MODE)).close();
    await syncDirectory(dirname(path));
  } catch (error) {
    if (errnoName(error) !== 'EEXIST') throw diskError(error, 'create', path);
  }
}

/** @param commits null: for reading only */
function openConnection(path: string, commits: Commits | null): SqlConnection {
  const readOnly = commits === null;
  const database = new DatabaseSync(path, {
    open: false,
    readOnly,
    timeout: BUSY_MS,
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: false,
  });
  try {
    database.open();
    const logs = !readOnly && logsAhead(database);
    // Nothing is read before this: it tells a file that is no database from one.
    database.exec('SELECT count(*) FROM sqlite_schema');
    return new SqliteConnection(path, database, logs ? commits : null);
  } catch (error) {
    if (database.isOpen) database.close();
    throw sqlError(error, path);
  }
}

/** False if the file system cannot have a write-ahead log: then SQLite syncs by itself. */
function logsAhead(database: DatabaseSync): boolean {
  const mode = database.prepare('PRAGMA journal_mode = WAL').get();
  const isLogging = mode?.['journal_mode'] === 'wal';
  // NORMAL keeps the file sound, and leaves it to whoever commits to make that durable.
  database.exec(`PRAGMA synchronous = ${isLogging ? 'NORMAL' : 'FULL'}`);
  return isLogging;
}

class SqliteConnection implements SqlConnection {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements: SqliteStatements;
  readonly #commits: Commits | null;

  constructor(path: string, database: DatabaseSync, commits: Commits | null) {
    this.#path = path;
    this.#database = database;
    this.#statements = new SqliteStatements(database);
    this.#commits = commits;
  }

  async execute(sql: string, parameters: readonly SqlValue[]): Promise<SqlResult> {
    this.#commits?.check();
    const result = this.#run(sql, parameters);
    await this.#commits?.done(sql, this.#database.isTransaction);
    return result;
  }

  #run(sql: string, parameters: readonly SqlValue[]): SqlResult {
    try {
      return this.#statements.run(sql, parameters);
    } catch (error) {
      throw sqlError(error, this.#path);
    }
  }

  async close(): Promise<void> {
    this.#statements.forget();
    await this.#commits?.close();
    if (this.#database.isOpen) this.#database.close();
  }
}
