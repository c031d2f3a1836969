import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { isLowtideError } from '../../model/errors.ts';
import { realDatabases } from './databases.ts';
import { kyselyOver } from './kysely.ts';

let directory = '';
before(async () => (directory = await mkdtemp(join(tmpdir(), 'lowtide-databases-'))));
after(() => rm(directory, { recursive: true }));

test('a database is durable at each commit, and its files are its owner’s only', async () => {
  const inner = await mkdtemp(join(directory, 'modes-'));
  const connection = await realDatabases().open(`${inner}/database`);
  await connection.execute('CREATE TABLE t (id)', []);
  const setting = async (name: string) => (await connection.execute(`PRAGMA ${name}`, [])).rows[0]?.[name];
  assert.equal(await setting('journal_mode'), 'wal');
  assert.equal(
    await setting('synchronous'),
    1,
    'SQLite leaves the log to the journal, which is synced below',
  );
  assert.equal(await setting('foreign_keys'), 1);
  const names = await readdir(inner);
  assert.deepEqual(names.sort(), ['database', 'database-shm', 'database-wal']);
  for (const name of names) assert.equal((await stat(`${inner}/${name}`)).mode & 0o777, 0o600, name);
  await connection.close();
});

/** Counts, and fails when it is told to. */
class HandJournal {
  syncs = 0;
  broken = false;

  async sync(): Promise<void> {
    this.syncs++;
    if (this.broken) throw new Error('input/output error');
  }

  async close(): Promise<void> {}
}

test('nobody is told of a commit before its log is synced: once a transaction, never for what only reads', async () => {
  const journal = new HandJournal();
  const connection = await realDatabases(() => journal).open(`${directory}/synced`);
  await connection.execute('CREATE TABLE t (id)', []);
  assert.equal(journal.syncs, 1);
  await connection.execute('INSERT INTO t VALUES (1)', []);
  assert.equal(journal.syncs, 2);
  await connection.execute('BEGIN IMMEDIATE', []);
  await connection.execute('INSERT INTO t VALUES (2)', []);
  await connection.execute('UPDATE t SET id = id + 1 RETURNING id', []);
  assert.equal(journal.syncs, 2);
  await connection.execute('COMMIT', []);
  assert.equal(journal.syncs, 3);
  await connection.execute('SELECT * FROM t', []);
  await connection.execute('BEGIN IMMEDIATE', []);
  await connection.execute('INSERT INTO t VALUES (3)', []);
  await connection.execute('ROLLBACK', []);
  assert.equal(journal.syncs, 3);
  await connection.close();
});

test('nobody reads what is not durable yet: it could be told, and gone after a power loss', async () => {
  const journal = new HandJournal();
  const connection = await realDatabases(() => journal).open(`${directory}/seen`);
  await connection.execute('CREATE TABLE t (id)', []);
  const disk = Promise.withResolvers<void>();
  journal.sync = async () => await disk.promise;
  const order: string[] = [];
  const insert = connection.execute('INSERT INTO t VALUES (1)', []).then(() => order.push('committed'));
  const select = connection
    .execute('SELECT * FROM t', [])
    .then(({ rows }) => order.push(`read ${rows.length}`));
  await setImmediate();
  assert.deepEqual(order, []);
  disk.resolve();
  await Promise.all([insert, select]);
  assert.deepEqual(order, ['committed', 'read 1']);
  await connection.close();
});

test('after a log that could not be synced nothing is committed or read any more (P1)', async () => {
  const journal = new HandJournal();
  const connection = await realDatabases(() => journal).open(`${directory}/broken`);
  await connection.execute('CREATE TABLE t (id)', []);
  journal.broken = true;
  const failed = (error: unknown): boolean => isLowtideError(error, 'disk-failed');
  await assert.rejects(connection.execute('INSERT INTO t VALUES (1)', []), failed);
  journal.broken = false;
  await assert.rejects(connection.execute('INSERT INTO t VALUES (2)', []), failed);
  await assert.rejects(connection.execute('SELECT * FROM t', []), failed);
  assert.equal(journal.syncs, 2, 'a sync that failed is never tried again');
  await connection.close();
});

test('a file that is no database is told so, and left as it is', async () => {
  const path = `${directory}/text`;
  await writeFile(path, 'this is not a database '.repeat(100));
  const databases = realDatabases();
  for (const verb of ['open', 'openReadOnly'] as const) {
    await assert.rejects(databases[verb](path), (error) => {
      assert.ok(isLowtideError(error, 'disk-failed'), String(error));
      return error.message.includes(path);
    });
  }
  assert.equal((await stat(path)).size, 2300);
});

test('a full database is disk-full, also out of a transaction that SQLite has rolled back itself', async () => {
  const connection = await realDatabases().open(`${directory}/full`);
  await connection.execute('CREATE TABLE t (value)', []);
  await connection.execute('PRAGMA max_page_count = 8', []);
  const database = kyselyOver<{ t: { value: Uint8Array } }>(connection);
  const filling = database.transaction().execute(async (transaction) => {
    for (;;)
      await transaction
        .insertInto('t')
        .values({ value: new Uint8Array(4000) })
        .execute();
  });
  await assert.rejects(filling, (error) => isLowtideError(error, 'disk-full'));
  assert.deepEqual(await database.selectFrom('t').selectAll().execute(), []);
  await database.destroy();
});

test('more different statements than are kept all work', async () => {
  const connection = await realDatabases().open(`${directory}/many`);
  for (let round = 0; round < 2; round++) {
    for (let at = 0; at < 300; at++) {
      assert.deepEqual((await connection.execute(`SELECT ${at} AS n`, [])).rows, [{ n: at }]);
    }
  }
  await connection.close();
  await connection.close();
});
