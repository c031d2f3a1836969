import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import type { BlockId, ChunkDigest } from '../../model/ids.ts';
import { SimulatedNode } from '../../sim/node.ts';
import { Simulation } from '../../sim/simulation.ts';
import { ChunkIndex, type IndexedBlock } from './chunk-index.ts';

const PATH = '/chunks.db';
const digestOf = (name: string): ChunkDigest => hash('sha256', `digest ${name}`) as ChunkDigest;
const idOf = (name: string): BlockId => hash('sha256', `block ${name}`) as BlockId;

const machine = (): SimulatedNode => new SimulatedNode(new Simulation({ seed: 1 }), { name: 'ann' });

function blockOf(name: string, chunks: readonly string[], length = 1000): IndexedBlock {
  return {
    id: idOf(name),
    length,
    chunks: chunks.map((chunk, at) => ({ digest: digestOf(chunk), offset: at * 10, length: 10 })),
  };
}

test('finds what was put, in batches of any size', async () => {
  const index = await ChunkIndex.open(machine().boot(), PATH);
  const names = Array.from({ length: 700 }, (_, at) => `c${at}`);
  await index.put(blockOf('one', names.slice(0, 300)));
  await index.put(blockOf('two', names.slice(300), 2000));
  await index.flush();
  const found = await index.lookup([...names, 'none'].map(digestOf));
  assert.equal(found.size, 700);
  assert.deepEqual(found.get(digestOf('c7')), {
    block: idOf('one'),
    blockLength: 1000,
    offset: 70,
    length: 10,
  });
  assert.deepEqual(found.get(digestOf('c302')), {
    block: idOf('two'),
    blockLength: 2000,
    offset: 20,
    length: 10,
  });
  assert.equal((await index.lookup([])).size, 0);
  assert.equal(await index.blocks(), 2);
  await index.close();
});

test('a look-up asks for little more than what it is asked', async () => {
  const world = machine().boot();
  const asked: number[] = [];
  const open: typeof world.databases.open = async (path) => {
    const connection = await world.databases.open(path);
    return {
      execute: (text, parameters) => {
        if (text.includes('WHERE c.digest IN')) asked.push(parameters.length);
        return connection.execute(text, parameters);
      },
      close: () => connection.close(),
    };
  };
  const index = await ChunkIndex.open({ ...world, databases: { ...world.databases, open } }, PATH);
  const digests = Array.from({ length: 200 }, (_, at) => digestOf(`c${at}`));
  await index.put(
    blockOf(
      'one',
      digests.map((_, at) => `c${at}`),
    ),
  );
  await index.flush();
  for (const count of [1, 9, 200]) assert.equal((await index.lookup(digests.slice(0, count))).size, count);
  assert.deepEqual(asked, [1, 16, 128, 128]);
  await index.close();
});

test('the newest place of a chunk counts', async () => {
  const index = await ChunkIndex.open(machine().boot(), PATH);
  await index.put(blockOf('old', ['a', 'b']));
  await index.put(blockOf('new', ['b']));
  await index.flush();
  const found = await index.lookup([digestOf('a'), digestOf('b')]);
  assert.equal(found.get(digestOf('a'))!.block, idOf('old'));
  assert.equal(found.get(digestOf('b'))!.block, idOf('new'));
});

test('what fills the buffer is written, and of two places in one buffer the newest counts, too', async () => {
  const index = await ChunkIndex.open(machine().boot(), PATH, 100);
  for (let at = 0; at < 1000; at += 10) {
    const names = Array.from({ length: 12 }, (_, more) => `c${at + more}`);
    await index.put(blockOf(`b${at}`, names));
  }
  await index.flush();
  const found = await index.lookup(['c0', 'c9', 'c10', 'c11', 'c999'].map(digestOf));
  const placeOf = (name: string): unknown => {
    const { block, offset } = found.get(digestOf(name))!;
    return [block, offset];
  };
  assert.deepEqual(placeOf('c0'), [idOf('b0'), 0]);
  assert.deepEqual(placeOf('c9'), [idOf('b0'), 90]);
  assert.deepEqual(placeOf('c10'), [idOf('b10'), 0]);
  assert.deepEqual(placeOf('c11'), [idOf('b10'), 10]);
  assert.deepEqual(placeOf('c999'), [idOf('b990'), 90]);
});

test('what it covers is durable with all that was put before', async () => {
  const node = machine();
  const index = await ChunkIndex.open(node.boot(), PATH);
  await index.put(blockOf('one', ['a']));
  assert.equal(await index.covers(idOf('tree 1')), false);
  await index.cover([idOf('tree 1'), idOf('tree 2')]);
  await index.put(blockOf('two', ['b']));
  node.crash();
  const again = await ChunkIndex.open(node.boot(), PATH);
  assert.equal(await again.covers(idOf('tree 1')), true);
  assert.deepEqual([...(await again.lookup([digestOf('a'), digestOf('b')])).keys()], [digestOf('a')]);
  await again.cover([idOf('tree 3')]);
  await again.alsoCover(idOf('tree 4'));
  const covered = [1, 2, 3, 4].map((tree) => again.covers(idOf(`tree ${tree}`)));
  assert.deepEqual(await Promise.all(covered), [false, false, true, true]);
});

test('a damaged row is no answer', async () => {
  const world = machine().boot();
  const index = await ChunkIndex.open(world, PATH);
  await index.put(blockOf('one', ['a', 'b', 'c']));
  await index.put(blockOf('two', ['d'], 2000));
  await index.flush();
  const connection = await world.databases.open(PATH);
  await connection.execute('UPDATE chunks SET start = start + 1 WHERE digest = ?', [
    Buffer.from(digestOf('a'), 'hex'),
  ]);
  await connection
    .execute('UPDATE chunks SET length = NULL WHERE digest = ?', [Buffer.from(digestOf('b'), 'hex')])
    .catch(() => undefined);
  await connection.execute("UPDATE blocks SET id = 'text' WHERE length = ?", [1000]);
  const found = await index.lookup(['a', 'b', 'c', 'd'].map(digestOf));
  assert.deepEqual([...found.keys()], [digestOf('d')]);
});

test('a file that is no database, or one of another version, is made anew', async () => {
  for (const spoil of ['bytes', 'version'] as const) {
    const world = machine().boot();
    if (spoil === 'bytes') {
      const file = await world.disk.create(PATH);
      await file.write(Buffer.alloc(8192, 'no database'));
      await file.sync();
      await file.close();
    } else {
      const connection = await world.databases.open(PATH);
      await connection.execute('CREATE TABLE format (version INTEGER)', []);
      await connection.execute('INSERT INTO format VALUES (99)', []);
      await connection.close();
    }
    const index = await ChunkIndex.open(world, PATH);
    await index.put(blockOf('one', ['a']));
    await index.flush();
    assert.equal((await index.lookup([digestOf('a')])).size, 1);
  }
});
