import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SqlConnection } from '../ports.ts';
import { sql, SqlDatabase } from './sql.ts';
import { realDatabases } from './databases.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const directory = mkdtempSync(join(tmpdir(), 'lowtide-sql-'));
test.after(() => rmSync(directory, { recursive: true }));

test('values become parameters, parts become text, wherever they stand', () => {
  const only = sql`AND state = ${7}`;
  const { text, parameters } =
    sql`SELECT ${'a'} FROM t WHERE id = ${Buffer.of(1)} ${only} ${sql``} LIMIT ${null}`;
  assert.equal(text, 'SELECT ? FROM t WHERE id = ? AND state = ?  LIMIT ?');
  assert.deepEqual(parameters, ['a', Buffer.of(1), 7, null]);
});

test('a transaction that throws leaves nothing and tells its own error; the next one works', async () => {
  const database = await opened('rollback');
  const failing = database.transaction(async (session) => {
    await session.change(sql`INSERT INTO t (value) VALUES (1)`);
    throw new Error('no more');
  });
  await assert.rejects(failing, /no more/);
  assert.equal(
    await database.transaction((session) => session.change(sql`INSERT INTO t (value) VALUES (2)`)),
    1,
  );
  assert.deepEqual(await database.rows(sql`SELECT value FROM t`), [{ value: 2 }]);
  await database.close();
});

test('what is asked beside a transaction waits for its end', async () => {
  const database = await opened('beside');
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  const one = database.transaction(async (session) => {
    await session.change(sql`INSERT INTO t (value) VALUES (1)`);
    await held;
    await session.change(sql`INSERT INTO t (value) VALUES (2)`);
  });
  const counted = database.rows(sql`SELECT count(*) AS n FROM t`);
  const other = database.transaction((session) => session.change(sql`DELETE FROM t`));
  letGo();
  await one;
  assert.deepEqual(await counted, [{ n: 2 }]);
  assert.equal(await other, 2);
  await database.close();
});

test('a failure to roll back does not hide why', async () => {
  const connection: SqlConnection = {
    async execute(text) {
      if (text === 'ROLLBACK') throw new Error('no transaction is active');
      return { rows: [], changes: 0, lastInsertRowid: 0 };
    },
    close: async () => undefined,
  };
  const failing = new SqlDatabase(connection).transaction(async () => {
    throw new Error('the disk is full');
  });
  await assert.rejects(failing, /the disk is full/);
});

async function opened(name: string): Promise<SqlDatabase> {
  const connection = await realDatabases().open(join(directory, name));
  await connection.execute('CREATE TABLE t (value)', []);
  return new SqlDatabase(connection);
}
