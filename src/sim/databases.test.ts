import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLowtideError } from '../model/errors.ts';
import type { Databases, SqlConnection } from '../world/ports.ts';
import { SimulatedNode } from './node.ts';
import { Simulation } from './simulation.ts';

const newNode = (): SimulatedNode => new SimulatedNode(new Simulation({ seed: 1 }), { name: 'node' });
const numbers = async (connection: SqlConnection): Promise<unknown[]> =>
  (await connection.execute('SELECT n FROM t ORDER BY n', [])).rows.map((row) => row['n']);

async function opened(databases: Databases): Promise<SqlConnection> {
  const connection = await databases.open('/database');
  await connection.execute('CREATE TABLE IF NOT EXISTS t (n INTEGER)', []);
  return connection;
}
const insert = (connection: SqlConnection, n: number): Promise<unknown> =>
  connection.execute('INSERT INTO t VALUES (?)', [n]);

test('a crash leaves the last commit under every policy', async () => {
  for (const policy of ['kill', 'keep', 'lose', 'draw'] as const) {
    const node = newNode();
    const connection = await opened(node.boot().databases);
    await insert(connection, 1);
    await connection.execute('BEGIN', []);
    await insert(connection, 2);
    await connection.execute('COMMIT', []);
    await connection.execute('BEGIN', []);
    await insert(connection, 3);
    node.crash(policy);
    assert.deepEqual(await numbers(await opened(node.boot().databases)), [1, 2]);
  }
});

test('the state at a commit is the one before it, and the transaction goes on', async () => {
  const node = newNode();
  const connection = await opened(node.boot().databases);
  await connection.execute('BEGIN IMMEDIATE', []);
  await insert(connection, 1);
  await connection.execute('SAVEPOINT inner', []);
  await insert(connection, 2);
  const states: ReturnType<SimulatedNode['snapshotState']>[] = [];
  node.simulation.observe(({ kind }) => {
    if (kind === 'database.commit') states.push(node.stateAfterCrash('lose'));
    return undefined;
  });
  await connection.execute('ROLLBACK TO inner', []);
  await connection.execute('COMMIT', []);
  states.push(node.stateAfterCrash('lose'));
  assert.deepEqual(await numbers(connection), [1]);
  const found: unknown[] = [];
  for (const state of states) {
    const copy = newNode();
    copy.restoreState(state);
    found.push(await numbers(await opened(copy.boot().databases)));
  }
  assert.deepEqual(found, [[], [1]]);
});

test('readers and second writers see the last commit while a transaction is open, and cannot write', async () => {
  const node = newNode();
  const { databases } = node.boot();
  const writer = await opened(databases);
  const second = await databases.open('/database');
  const reader = await node.boot({ beside: true }).databases.openReadOnly('/database');
  await insert(writer, 1);
  assert.deepEqual([await numbers(second), await numbers(reader)], [[1], [1]]);
  await writer.execute('BEGIN IMMEDIATE', []);
  await insert(writer, 2);
  assert.deepEqual([await numbers(second), await numbers(reader)], [[1], [1]]);
  await assert.rejects(insert(second, 3), (error) => isLowtideError(error, 'locked'));
  assert.deepEqual(await numbers(writer), [1, 2]);
  await reader.execute('BEGIN', []);
  assert.deepEqual(await numbers(reader), [1]);
  await writer.execute('COMMIT', []);
  assert.deepEqual(await numbers(reader), [1], 'one transaction reads one state');
  await reader.execute('COMMIT', []);
  await insert(second, 3);
  assert.deepEqual(await numbers(reader), [1, 2, 3]);
});

test('a commit that the disk has no room for is rolled back', async () => {
  const node = newNode();
  const connection = await opened(node.boot().databases);
  await connection.execute('BEGIN', []);
  await insert(connection, 1);
  node.faults.inject({ kind: 'database.commit', error: 'ENOSPC' });
  await assert.rejects(connection.execute('COMMIT', []), (error) => isLowtideError(error, 'disk-full'));
  await insert(connection, 2);
  assert.deepEqual(await numbers(connection), [2]);
});

test('a database is a file: it can be seen, removed and damaged', async () => {
  const node = newNode();
  const { databases, disk } = node.boot();
  const connection = await opened(databases);
  await insert(connection, 1);
  assert.ok(((await disk.stat('/database'))?.size ?? 0) >= 4096);
  node.stop();
  node.disk.corrupt('/database', 0, 0xff);
  await assert.rejects(node.boot().databases.open('/database'), (error) =>
    isLowtideError(error, 'disk-failed'),
  );
  const again = node.boot();
  await again.disk.remove('/database');
  assert.deepEqual(await numbers(await opened(again.databases)), []);
});
