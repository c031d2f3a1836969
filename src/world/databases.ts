import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { diskError, errnoName } from './errno.ts';
import type { Databases, SqlConnection, SqlResult, SqlValue } from './ports.ts';
import { SqliteStatements, sqlError } from './sql-statements.ts';

const FILE_MODE = 0o600;
const BUSY_MS = 5000;

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
  const database = new DatabaseSync(path, {
    open: false,
    readOnly,
    timeout: BUSY_MS,
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: false,
  });
  try {
    database.open();
    if (!readOnly) database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    // Nothing is read before this: it tells a file that is no database from one.
    database.exec('SELECT count(*) FROM sqlite_schema');
    return new SqliteConnection(path, database);
  } catch (error) {
    if (database.isOpen) database.close();
    throw sqlError(error, path);
  }
}

class SqliteConnection implements SqlConnection {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements: SqliteStatements;

  constructor(path: string, database: DatabaseSync) {
    this.#path = path;
    this.#database = database;
    this.#statements = new SqliteStatements(database);
  }

  async execute(sql: string, parameters: readonly SqlValue[]): Promise<SqlResult> {
    try {
      return this.#statements.run(sql, parameters);
    } catch (error) {
      throw sqlError(error, this.#path);
    }
  }

  async close(): Promise<void> {
    this.#statements.forget();
    if (this.#database.isOpen) this.#database.close();
  }
}
