import { LowtideError } from '../model/errors.ts';
import { diskError, errnoName } from '../world/system/errno.ts';
import type { Databases, SqlConnection, SqlResult, SqlValue } from '../world/ports.ts';
import { isRead, sqlError } from '../world/sql/statements.ts';
import { DatabaseFile, DatabaseReader } from './database-file.ts';
import type { DiskFile } from './disk-file.ts';
import type { SimulatedDisk } from './disk-store.ts';
import type { Incarnation } from './incarnation.ts';

/**
 * The databases of one machine: files of its disk, so that scenarios and node code may copy, damage and remove them. A
 * commit is durable when it answers; the transaction of a dead incarnation has never been.
 */
export class SimulatedDatabases {
  readonly #disk: SimulatedDisk;
  readonly #open = new Map<DiskFile, { readonly database: DatabaseFile; connections: number }>();

  constructor(disk: SimulatedDisk) {
    this.#disk = disk;
  }

  port(incarnation: Incarnation): Databases {
    const connect = (path: string, file: DiskFile, readOnly: boolean): SqlConnection =>
      new Connection(this.#disk, incarnation, path, this.#acquire(file), readOnly, () => this.#release(file));
    return {
      open: (path) =>
        named(path, () =>
          incarnation.operation({ kind: 'database.open', detail: path, changes: true }, () => {
            this.#disk.faults.check('database.open', path);
            return connect(path, this.#make(path), false);
          }),
        ),
      openReadOnly: (path) =>
        named(path, () =>
          incarnation.operation({ kind: 'database.openReadOnly', detail: path, changes: false }, () => {
            this.#disk.faults.check('database.open', path);
            return connect(path, this.#disk.tree.file(path), true);
          }),
        ),
    };
  }

  /** A new one is durable at once, with its name, as the real ones are. */
  #make(path: string): DiskFile {
    if (this.#disk.tree.find(path) === undefined) {
      this.#disk.tree.createFile(path);
      this.#disk.tree.syncName(path);
    }
    return this.#disk.tree.file(path);
  }

  #acquire(file: DiskFile): DatabaseFile {
    const known = this.#open.get(file) ?? { database: new DatabaseFile(file), connections: 0 };
    known.connections++;
    this.#open.set(file, known);
    return known.database;
  }

  #release(file: DiskFile): void {
    const known = this.#open.get(file);
    if (known === undefined) return;
    known.connections--;
    if (known.connections > 0) return;
    this.#open.delete(file);
    known.database.close();
  }
}

class Connection implements SqlConnection {
  readonly #disk: SimulatedDisk;
  readonly #incarnation: Incarnation;
  readonly #path: string;
  readonly #database: DatabaseFile;
  readonly #reader: DatabaseReader;
  readonly #readOnly: boolean;
  readonly #release: () => void;
  readonly #forget: () => void;
  #open = true;

  constructor(
    disk: SimulatedDisk,
    incarnation: Incarnation,
    path: string,
    database: DatabaseFile,
    readOnly: boolean,
    release: () => void,
  ) {
    this.#disk = disk;
    this.#incarnation = incarnation;
    this.#path = path;
    this.#database = database;
    this.#reader = new DatabaseReader(database);
    this.#readOnly = readOnly;
    this.#release = release;
    this.#forget = incarnation.onEnd(() => this.#close());
  }

  execute(sql: string, parameters: readonly SqlValue[]): Promise<SqlResult> {
    return named(this.#path, () => this.#incarnation.answer(() => this.#run(sql, parameters)));
  }

  async close(): Promise<void> {
    await this.#incarnation.answer(() => this.#close());
  }

  #run(sql: string, parameters: readonly SqlValue[]): SqlResult {
    if (!this.#open) throw new TypeError(`the database ${this.#path} is closed`);
    const { owner } = this.#database;
    const busy = owner !== null && owner !== this;
    if (this.#readOnly || (busy && isRead(sql))) return this.#reader.run(sql, parameters);
    if (busy) throw new LowtideError('locked', `the database ${this.#path} is in use by somebody else`);
    const run = (): SqlResult => this.#database.run(this, sql, parameters);
    if (!(owner === this ? isCommit(sql) : isWrite(sql))) return run();
    const detail = owner === this ? this.#path : `${this.#path}: ${sql.slice(0, 60)}`;
    return this.#incarnation.operate({ kind: 'database.commit', detail, changes: true }, () => {
      this.#checkFault();
      return run();
    });
  }

  /** What could not be committed is rolled back, as SQLite does when the disk is full. */
  #checkFault(): void {
    try {
      this.#disk.faults.check('database.commit', this.#path);
    } catch (error) {
      this.#database.rollback();
      throw error;
    }
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#forget();
    this.#reader.close();
    if (this.#database.owner === this) this.#database.rollback();
    this.#release();
  }
}

const isCommit = (sql: string): boolean => /^\s*(commit|end|release)\b/i.test(sql);
/** Outside a transaction: whatever is not known to write nothing counts as a commit. */
const isWrite = (sql: string): boolean => !isRead(sql) && !/^\s*(begin|savepoint|rollback)\b/i.test(sql);

async function named<T>(path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw errnoName(error) === '' ? sqlError(error, path) : diskError(error, 'use the database', path);
  }
}
