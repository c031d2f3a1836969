/**
 * What every Databases must do while nothing fails.
 *
 *   databasesConformance(name, make, { readOnly })
 *
 * `make()` gives a Databases and the absolute path of a file that does not exist in a directory that does; `dispose` is
 * called after the test. `readOnly: false` leaves out openReadOnly.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Generated } from 'kysely';
import { isLowtideError } from '../../src/model/errors.ts';
import { kyselyOver } from '../../src/world/sql/kysely.ts';
import type { Databases, SqlConnection } from '../../src/world/ports.ts';

export interface DatabasesUnderTest {
  readonly databases: Databases;
  readonly path: string;
  dispose?(): Promise<void>;
}

export interface DatabasesOptions {
  readonly readOnly?: boolean;
}

type On = (what: string, run: (databases: Databases, path: string) => Promise<void>) => void;

export function databasesConformance(
  name: string,
  make: () => Promise<DatabasesUnderTest>,
  { readOnly = true }: DatabasesOptions = {},
): void {
  const on: On = (what, run) => {
    test(what, async () => {
      const made = await make();
      try {
        await run(made.databases, made.path);
      } finally {
        await made.dispose?.();
      }
    });
  };
  describe(`Databases: ${name}`, () => {
    statements(on);
    transactions(on);
    throughKysely(on);
    if (readOnly) reading(on);
  });
}

const counted = async (connection: SqlConnection): Promise<unknown> =>
  (await connection.execute('SELECT count(*) AS n FROM t', [])).rows[0]?.['n'];

function statements(on: On): void {
  on('every kind of value comes back as it went in', async (databases, path) => {
    const connection = await databases.open(path);
    await connection.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, value)', []);
    const values = [
      null,
      0,
      -1,
      2 ** 53 - 1,
      1.5,
      '',
      'ä\u0000b',
      new Uint8Array(0),
      new Uint8Array([0, 255]),
    ];
    for (const value of values) await connection.execute('INSERT INTO t (value) VALUES (?)', [value]);
    const { rows } = await connection.execute('SELECT value FROM t ORDER BY id', []);
    assert.deepEqual(
      rows.map(({ value }) => (value instanceof Uint8Array ? new Uint8Array(value) : value)),
      values,
    );
    await connection.close();
  });

  on('a bigint goes in as an integer', async (databases, path) => {
    const connection = await databases.open(path);
    const { rows } = await connection.execute('SELECT ? AS value, typeof(?) AS type', [7n, 7n]);
    assert.deepEqual(rows, [{ value: 7, type: 'integer' }]);
    await connection.close();
  });

  on('changes and the last row id are told', async (databases, path) => {
    const connection = await databases.open(path);
    await connection.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)', []);
    const one = await connection.execute('INSERT INTO t (id, n) VALUES (7, 1)', []);
    assert.deepEqual([one.changes, one.lastInsertRowid], [1, 7]);
    await connection.execute('INSERT INTO t (n) VALUES (2), (3)', []);
    assert.equal((await connection.execute('UPDATE t SET n = n + 1 WHERE n > 1', [])).changes, 2);
    assert.equal((await connection.execute('SELECT * FROM t', [])).changes, 0);
    const gone = await connection.execute('DELETE FROM t WHERE n = 4 RETURNING id', []);
    assert.deepEqual([gone.rows, gone.changes], [[{ id: 9 }], 1]);
    await connection.close();
  });

  on('a broken constraint is an error and changes nothing', async (databases, path) => {
    const connection = await databases.open(path);
    await connection.execute('CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT', []);
    await connection.execute('INSERT INTO t VALUES (1)', []);
    await assert.rejects(connection.execute('INSERT INTO t VALUES (2), (1)', []), /UNIQUE/);
    assert.equal(await counted(connection), 1);
    await connection.close();
  });

  on('foreign keys are kept', async (databases, path) => {
    const connection = await databases.open(path);
    await connection.execute('CREATE TABLE t (id INTEGER PRIMARY KEY)', []);
    await connection.execute('CREATE TABLE u (t INTEGER NOT NULL REFERENCES t (id))', []);
    await assert.rejects(connection.execute('INSERT INTO u VALUES (1)', []), /FOREIGN KEY/);
    await connection.close();
  });

  on('a text of two statements is refused', async (databases, path) => {
    const connection = await databases.open(path);
    await assert.rejects(connection.execute('CREATE TABLE t (id); CREATE TABLE u (id)', []), TypeError);
    await connection.execute('CREATE TABLE t (id);\n', []);
    assert.equal(await counted(connection), 0);
    await connection.close();
  });

  on('one text works again after the schema has changed', async (databases, path) => {
    const connection = await databases.open(path);
    await connection.execute('CREATE TABLE t (a)', []);
    await connection.execute('INSERT INTO t VALUES (1)', []);
    assert.deepEqual((await connection.execute('SELECT * FROM t', [])).rows, [{ a: 1 }]);
    await connection.execute('ALTER TABLE t ADD COLUMN b DEFAULT 2', []);
    assert.deepEqual((await connection.execute('SELECT * FROM t', [])).rows, [{ a: 1, b: 2 }]);
    await connection.close();
  });

  on('what was committed is there when it is opened again', async (databases, path) => {
    const before = await databases.open(path);
    await before.execute('CREATE TABLE t (id)', []);
    await before.execute('INSERT INTO t VALUES (1)', []);
    await before.close();
    const after = await databases.open(path);
    assert.equal(await counted(after), 1);
    await after.close();
  });

  on('no database is made where there is no directory', async (databases, path) => {
    await assert.rejects(databases.open(`${path}/no/database`), (error) =>
      isLowtideError(error, 'not-found', 'disk-failed'),
    );
  });
}

function transactions(on: On): void {
  on('a rollback leaves nothing', async (databases, path) => {
    const connection = await databases.open(path);
    await connection.execute('CREATE TABLE t (id)', []);
    await connection.execute('BEGIN IMMEDIATE', []);
    await connection.execute('INSERT INTO t VALUES (1)', []);
    await connection.execute('CREATE TABLE u (id)', []);
    await connection.execute('ROLLBACK', []);
    assert.equal(await counted(connection), 0);
    await assert.rejects(connection.execute('SELECT * FROM u', []), /no such table/);
    await connection.close();
  });

  on('what was not committed is gone after close', async (databases, path) => {
    const connection = await databases.open(path);
    await connection.execute('CREATE TABLE t (id)', []);
    await connection.execute('BEGIN IMMEDIATE', []);
    await connection.execute('INSERT INTO t VALUES (1)', []);
    await connection.close();
    const again = await databases.open(path);
    assert.equal(await counted(again), 0);
    await again.close();
  });
}

interface Tables {
  readonly t: { readonly id: Generated<number>; readonly name: string };
}

function throughKysely(on: On): void {
  const opened = async (databases: Databases, path: string) => {
    const database = kyselyOver<Tables>(await databases.open(path));
    await database.schema
      .createTable('t')
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull().unique())
      .execute();
    return database;
  };

  on('queries go through Kysely', async (databases, path) => {
    const database = await opened(databases, path);
    const { insertId } = await database.insertInto('t').values({ name: 'a' }).executeTakeFirstOrThrow();
    assert.equal(insertId, 1n);
    await database
      .insertInto('t')
      .values([{ name: 'b' }, { name: 'c' }])
      .execute();
    const { numDeletedRows } = await database
      .deleteFrom('t')
      .where('name', '=', 'b')
      .executeTakeFirstOrThrow();
    assert.equal(numDeletedRows, 1n);
    assert.deepEqual(await database.selectFrom('t').selectAll().orderBy('id').execute(), [
      { id: 1, name: 'a' },
      { id: 3, name: 'c' },
    ]);
    await database.destroy();
  });

  on('a transaction that throws leaves nothing, and the next one works', async (databases, path) => {
    const database = await opened(databases, path);
    const failing = database.transaction().execute(async (transaction) => {
      await transaction.insertInto('t').values({ name: 'a' }).execute();
      await transaction.insertInto('t').values({ name: 'a' }).execute();
    });
    await assert.rejects(failing, /UNIQUE/);
    await database.transaction().execute(async (transaction) => {
      await transaction.insertInto('t').values({ name: 'b' }).execute();
    });
    assert.deepEqual(await database.selectFrom('t').select('name').execute(), [{ name: 'b' }]);
    await database.destroy();
  });

  on('a query beside a transaction waits for it', async (databases, path) => {
    const database = await opened(databases, path);
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const transaction = database.transaction().execute(async (inside) => {
      await inside.insertInto('t').values({ name: 'a' }).execute();
      await held;
      await inside.insertInto('t').values({ name: 'b' }).execute();
    });
    const beside = database.selectFrom('t').selectAll().execute();
    letGo();
    await transaction;
    assert.equal((await beside).length, 2);
    await database.destroy();
  });

  on('transactions side by side come one after another', async (databases, path) => {
    const database = await opened(databases, path);
    await database.insertInto('t').values({ id: 1, name: '0' }).execute();
    const increment = () =>
      database.transaction().execute(async (transaction) => {
        const { name } = await transaction.selectFrom('t').select('name').executeTakeFirstOrThrow();
        await transaction
          .updateTable('t')
          .set({ name: `${Number(name) + 1}` })
          .execute();
      });
    await Promise.all(Array.from({ length: 20 }, increment));
    assert.deepEqual(await database.selectFrom('t').select('name').execute(), [{ name: '20' }]);
    await database.destroy();
  });
}

function reading(on: On): void {
  on('a reader beside the writer sees what is committed, and no more', async (databases, path) => {
    const writer = await databases.open(path);
    await writer.execute('CREATE TABLE t (id)', []);
    const reader = await databases.openReadOnly(path);
    await writer.execute('BEGIN IMMEDIATE', []);
    await writer.execute('INSERT INTO t VALUES (1)', []);
    assert.equal(await counted(reader), 0);
    await writer.execute('COMMIT', []);
    assert.equal(await counted(reader), 1);
    await Promise.all([reader.close(), writer.close()]);
  });

  on('a reader works when no writer is there, and writes nothing', async (databases, path) => {
    const writer = await databases.open(path);
    await writer.execute('CREATE TABLE t (id)', []);
    await writer.close();
    const reader = await databases.openReadOnly(path);
    assert.equal(await counted(reader), 0);
    await assert.rejects(reader.execute('INSERT INTO t VALUES (1)', []));
    await reader.close();
  });

  on('a reader of nothing is told so, and nothing is made', async (databases, path) => {
    await assert.rejects(databases.openReadOnly(path), (error) => isLowtideError(error, 'not-found'));
    await assert.rejects(databases.openReadOnly(path), (error) => isLowtideError(error, 'not-found'));
  });
}
