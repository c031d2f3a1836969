import * as fs from 'node:fs/promises';
import { dirname } from 'node:path';
import { LowtideError, messageOf } from '../../model/errors.ts';
import { isRead } from './statements.ts';
import { syncDirectory } from '../disk/sync-directory.ts';

/** What makes a commit of a database in WAL mode durable. */
export interface Journal {
  /** Errors: whatever the disk says; then nothing more may be committed. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The write-ahead log beside a database that is open, synced in libuv's threads: SQLite itself would keep everybody
 * waiting for the disk. No lock of SQLite's is on this file, so closing it takes none away.
 */
export function journalOf(path: string): Journal {
  let handle: fs.FileHandle | null = null;
  return {
    async sync() {
      if (handle === null) {
        handle = await fs.open(`${path}-wal`, 'r+');
        await syncDirectory(dirname(path));
      }
      await handle.datasync();
    },
    close: async () => await handle?.close(),
  };
}

/**
 * Has each commit synced before anybody is told of it, be it by what it answers or by what a later statement reads. After a
 * sync that failed nothing is done any more: a later commit could be behind a gap in the log, and the first crash would
 * take it away.
 */
export class Commits {
  readonly #journal: Journal;
  readonly #path: string;
  #written = false;
  /** Resolves when all that was committed so far is durable, or that has failed. */
  #durable: Promise<unknown> = Promise.resolve();
  #failed: LowtideError | null = null;

  constructor(journal: Journal, path: string) {
    this.#journal = journal;
    this.#path = path;
  }

  /** @throws LowtideError `disk-failed` once a sync has failed */
  check(): void {
    if (this.#failed !== null) throw this.#failed;
  }

  /** A statement has been carried out. Resolves when all that was committed is durable. */
  async done(sql: string, inTransaction: boolean): Promise<void> {
    if (!isRead(sql) && !/^\s*begin\b/i.test(sql)) this.#written = true;
    if (inTransaction) return;
    if (this.#written && !/^\s*rollback\b/i.test(sql))
      this.#durable = Promise.all([this.#durable, this.#sync()]);
    this.#written = false;
    await this.#durable;
    this.check();
  }

  async #sync(): Promise<void> {
    try {
      await this.#journal.sync();
    } catch (error) {
      const message = `the database ${this.#path} could not be made durable (${messageOf(error)}): start this program again`;
      this.#failed = new LowtideError('disk-failed', message, { cause: error });
    }
  }

  close(): Promise<void> {
    return this.#journal.close();
  }
}
