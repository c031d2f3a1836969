import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOUR_MS } from '../model/time.ts';
import type { World } from '../world/ports.ts';
import { SimulatedNode, type NodeOptions } from './node.ts';
import { crashAt } from './operations.ts';
import { Simulation } from './simulation.ts';

const START = Date.UTC(2026, 6, 1, 22);
const make = (options: Partial<NodeOptions> = {}): { simulation: Simulation; node: SimulatedNode } => {
  const simulation = new Simulation({ seed: 1, start: START });
  return { simulation, node: new SimulatedNode(simulation, { name: 'ann', ...options }) };
};
const bytes = (text: string): Uint8Array => Buffer.from(text);

async function settles(simulation: Simulation, promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const mark = (): void => void (settled = true);
  promise.then(mark, mark);
  await simulation.run({ for: 24 * HOUR_MS });
  return settled;
}

test('after a crash no port of the incarnation answers, what was under way included', async () => {
  const { simulation, node } = make();
  const world = node.boot();
  const file = await world.disk.create('/file');
  const reader = await world.disk.openRead('/file');
  const database = await world.databases.open('/database');
  node.files.write('/home/a', 'a');
  const source = await world.files.openSource('home\0a' as never);
  const task = { module: 'none', name: 'none', run: (input: number) => input };
  const calls: ((world: World) => Promise<unknown>)[] = [
    ({ disk }) => disk.stat('/'),
    ({ disk }) => disk.create('/other'),
    ({ disk }) => disk.makeDirectory('/directory'),
    ({ disk }) => disk.lock('/lock'),
    ({ clock }) => clock.sleep(1000),
    ({ clock }) => clock.sleep(1000, AbortSignal.abort()),
    ({ databases }) => databases.open('/other-database'),
    ({ files }) => files.scan('' as never),
    ({ work }) => work.run(task, 1),
    () => file.write(bytes('x')),
    () => file.sync(),
    () => file.close(),
    () => reader.read(0, 1),
    () => database.execute('SELECT 1', []),
    () => database.close(),
    () => source.read(new Uint8Array(1), 0),
  ];
  const before = calls.map((call) => call(world));
  node.crash();
  const after = calls.map((call) => call(world));
  for (const promise of [...before, ...after]) assert.equal(await settles(simulation, promise), false);
  assert.deepEqual(node.disk.paths(), ['/database']);
});

test('what a dead incarnation tells its monitor is not heard', () => {
  const { simulation, node } = make();
  const { monitor } = node.boot();
  monitor.event({ kind: 'started', role: 'agent', name: 'ann' });
  node.crash();
  monitor.event({ kind: 'stopped', role: 'agent', name: 'ann' });
  assert.deepEqual(simulation.recorder.events('started'), [{ kind: 'started', role: 'agent', name: 'ann' }]);
  assert.deepEqual(simulation.recorder.events('stopped'), []);
});

test('locks die with their process', async () => {
  const { node } = make();
  const first = node.boot();
  assert.notEqual(await first.disk.lock('/lock'), null);
  assert.equal(await node.boot({ beside: true }).disk.lock('/lock'), null);
  node.stop();
  assert.notEqual(await node.boot().disk.lock('/lock'), null);
});

test('a clean stop loses nothing, synced or not', async () => {
  const { node } = make();
  const { disk } = node.boot();
  const file = await disk.create('/file');
  await file.write(bytes('unsynced'));
  node.boot();
  assert.equal(Buffer.from(node.disk.bytesOf('/file')).toString(), 'unsynced');
});

test('two incarnations never draw the same random bytes', () => {
  const { node } = make();
  const first = node.boot().random.bytes(16);
  node.crash();
  assert.notDeepEqual(node.boot().random.bytes(16), first);
});

test('a machine can become what it was yesterday, on its disk and in its databases', async () => {
  const { node } = make();
  const world = node.boot();
  const database = await world.databases.open('/ledger');
  await database.execute('CREATE TABLE t (n INTEGER)', []);
  await database.execute('INSERT INTO t VALUES (1)', []);
  await (await world.disk.create('/old')).write(bytes('old'));
  await database.execute('BEGIN', []);
  await database.execute('INSERT INTO t VALUES (2)', []);
  const yesterday = node.snapshotState();
  await database.execute('INSERT INTO t VALUES (3)', []);
  await database.execute('COMMIT', []);
  await (await world.disk.openAppend('/old')).write(bytes(' and new'));
  await (await world.disk.create('/new')).sync();
  assert.throws(() => node.restoreState(yesterday), /stop or crash ann/);
  node.stop();
  const today = node.snapshotState();
  node.restoreState(yesterday);
  const again = node.boot();
  const count = async (databases: World['databases']): Promise<unknown> => {
    const { rows } = await (await databases.open('/ledger')).execute('SELECT n FROM t ORDER BY n', []);
    return rows.map((row) => row['n']);
  };
  assert.deepEqual(await count(again.databases), [1]);
  assert.deepEqual(node.disk.paths(), ['/ledger', '/old']);
  assert.equal(Buffer.from(node.disk.bytesOf('/old')).toString(), 'old');
  node.stop();
  node.restoreState(today);
  assert.deepEqual(await count(node.boot().databases), [1, 2, 3]);
  assert.equal(Buffer.from(node.disk.bytesOf('/old')).toString(), 'old and new');
});

test('an observer lists the operations, and a later run crashes before or after each of them', async () => {
  const workload = async ({ disk, databases }: World): Promise<void> => {
    const database = await databases.open('/database');
    await database.execute('CREATE TABLE t (n INTEGER)', []);
    const file = await disk.create('/file');
    await file.write(bytes('hello'));
    await file.sync();
    await disk.syncDirectory('/');
    await database.execute('BEGIN', []);
    await database.execute('INSERT INTO t VALUES (1)', []);
    await database.execute('COMMIT', []);
  };
  const kinds: string[] = [];
  const first = make();
  first.simulation.observe(({ kind }) => void kinds.push(kind));
  await first.simulation.finish(workload(first.node.boot()));
  assert.deepEqual(kinds, [
    'database.open',
    'database.commit',
    'disk.create',
    'disk.write',
    'disk.sync',
    'disk.syncDirectory',
    'database.commit',
  ]);
  const left = async (index: number, when: 'before' | 'after'): Promise<string> => {
    const { simulation, node } = make({ crashPolicy: 'lose' });
    simulation.observe(crashAt(index, when));
    void workload(node.boot());
    await simulation.settle();
    assert.equal(node.running, false);
    const rows = await (await node.boot().databases.open('/database')).execute('SELECT n FROM t', []).then(
      (result) => `${result.rows.length} rows`,
      () => 'no table',
    );
    return `${node.disk.paths().join(' ')}: ${rows}`;
  };
  assert.equal(await left(1, 'before'), '/database: no table');
  assert.equal(await left(1, 'after'), '/database: 0 rows');
  assert.equal(await left(4, 'after'), '/database: 0 rows');
  assert.equal(await left(5, 'after'), '/database /file: 0 rows');
  assert.equal(await left(6, 'before'), '/database /file: 0 rows');
  assert.equal(await left(6, 'after'), '/database /file: 1 rows');
});

test('a suspended machine does nothing; its sleeps and its monotonic clock stand still, its wall clock goes on', async () => {
  const { simulation, node } = make();
  const { clock, disk } = node.boot();
  const woken: number[] = [];
  void clock.sleep(2 * HOUR_MS).then(() => woken.push(clock.now() - START));
  await simulation.run({ for: HOUR_MS });
  node.suspend();
  const stat = disk.stat('/');
  assert.equal(await settles(simulation, stat), false);
  assert.equal(clock.monotonic(), HOUR_MS);
  node.resume();
  await simulation.finish(stat);
  await simulation.run({ for: 2 * HOUR_MS });
  assert.deepEqual(woken, [26 * HOUR_MS]);
  assert.equal(clock.monotonic(), 3 * HOUR_MS);
});

test('a clock may be ahead and fast, and be set; durations take no notice of the setting', async () => {
  const { simulation, node } = make({ clockOffset: 5000, clockRate: 1.01, zone: 'Asia/Tokyo' });
  const { clock } = node.boot();
  assert.equal(clock.zone, 'Asia/Tokyo');
  assert.equal(clock.now(), START + 5000);
  await simulation.finish(clock.sleep(1010));
  assert.equal(simulation.now, START + 1000);
  assert.equal(clock.now(), START + 5000 + 1010);
  node.setClock(-HOUR_MS);
  assert.equal(clock.now(), START - HOUR_MS + 1010);
  assert.equal(Math.round(clock.monotonic()), 1010);
});
