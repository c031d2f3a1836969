// oxlint-disable-next-line no-restricted-imports -- SQLite in memory is a pure function of its statements: no file, no time
import { DatabaseSync } from 'node:sqlite';
import type { SqlResult, SqlValue } from '../world/ports.ts';
import { isRead, SqliteStatements } from '../world/sql/statements.ts';
import { imageOfBytes, type DiskFile, type FileImage, type LiveContent } from './disk-file.ts';

/** An SQLite database in memory, loaded with a file's bytes. */
class MemoryDatabase {
  readonly #database = new DatabaseSync(':memory:', {
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: false,
  });
  readonly #statements = new SqliteStatements(this.#database);

  /** Throws what SQLite says if the bytes are no database. */
  constructor(bytes: Uint8Array, readOnly: boolean) {
    try {
      if (bytes.length > 0) this.#database.deserialize(bytes);
      this.#database.exec('SELECT count(*) FROM sqlite_schema');
      if (readOnly) this.#database.exec('PRAGMA query_only = ON');
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  run(sql: string, parameters: readonly SqlValue[]): SqlResult {
    return this.#statements.run(sql, parameters);
  }

  rollback(): void {
    if (this.inTransaction) this.#database.exec('ROLLBACK');
  }

  serialize(): Uint8Array {
    return this.#database.serialize();
  }

  close(): void {
    this.#database.close();
  }
}

interface Committed {
  readonly version: number;
  readonly bytes: Uint8Array;
  readonly image: FileImage;
}

/**
 * One database file while somebody has it open. There is one SQLite database for all writers, which belongs to the one
 * whose transaction is open; everybody else reads what was committed last, as with a write-ahead log.
 */
export class DatabaseFile implements LiveContent {
  readonly #file: DiskFile;
  readonly #database: MemoryDatabase;
  /** What the open transaction has done so far: to get at the commit before it, and back. */
  #transaction: { readonly sql: string; readonly parameters: readonly SqlValue[] }[] = [];
  #owner: object | null = null;
  #version = 0;
  #committed: Committed | null = null;

  constructor(file: DiskFile) {
    this.#file = file;
    this.#database = new MemoryDatabase(file.read(0, file.size), false);
    file.setLive(this);
  }

  /** Counts the statements that may have committed something. */
  get version(): number {
    return this.#version;
  }

  /** Who has the open transaction. */
  get owner(): object | null {
    return this.#owner;
  }

  /** By a writer: nobody else may have a transaction open. */
  run(writer: object, sql: string, parameters: readonly SqlValue[]): SqlResult {
    try {
      const result = this.#database.run(sql, parameters);
      if (this.#database.inTransaction) this.#transaction.push({ sql, parameters: [...parameters] });
      return result;
    } finally {
      // A failed statement may have rolled back.
      this.#owner = this.#database.inTransaction ? writer : null;
      if (this.#owner === null) {
        this.#transaction = [];
        if (!isRead(sql)) this.#version++;
      }
    }
  }

  /** A transaction whose owner is gone has never been. */
  rollback(): void {
    this.#database.rollback();
    this.#transaction = [];
    this.#owner = null;
  }

  /** Back to a file at rest, at the last commit. */
  close(): void {
    this.rollback();
    this.#file.setLive(null);
    this.#database.close();
  }

  committed(): FileImage {
    return this.lastCommit().image;
  }

  lastCommit(): Committed {
    if (this.#committed?.version === this.#version) return this.#committed;
    this.#database.rollback();
    const bytes = this.#database.serialize();
    const image = imageOfBytes(bytes, this.#file.sectorBytes);
    this.#committed = { version: this.#version, bytes, image };
    // SQLite is deterministic: the same statements on the same database give the same transaction.
    for (const { sql, parameters } of this.#transaction) this.#database.run(sql, parameters);
    return this.#committed;
  }
}

/** What everybody but the writer sees: a copy of the last commit, taken anew whenever a read begins. */
export class DatabaseReader {
  readonly #source: DatabaseFile;
  #version = -1;
  #copy: MemoryDatabase | null = null;

  constructor(source: DatabaseFile) {
    this.#source = source;
  }

  run(sql: string, parameters: readonly SqlValue[]): SqlResult {
    return this.#current().run(sql, parameters);
  }

  close(): void {
    this.#copy?.close();
    this.#copy = null;
  }

  #current(): MemoryDatabase {
    if (this.#copy !== null && (this.#copy.inTransaction || this.#version === this.#source.version)) {
      return this.#copy;
    }
    this.close();
    const { version, bytes } = this.#source.lastCommit();
    this.#version = version;
    this.#copy = new MemoryDatabase(bytes, true);
    return this.#copy;
  }
}
