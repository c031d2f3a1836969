import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { World } from '../world/ports.ts';
import { SimulatedNode } from './node.ts';
import { crashAt, type Operation } from './operations.ts';
import type { RandomStream } from './random.ts';
import { Simulation, type SimulationOptions } from './simulation.ts';

/** Several tasks at once that write, sync, rename and sleep as the stream says. */
async function workload({ disk, databases, clock }: World, random: RandomStream): Promise<void> {
  const database = await databases.open('/database');
  await database.execute('CREATE TABLE IF NOT EXISTS t (n INTEGER)', []);
  const task = async (name: string): Promise<void> => {
    for (let round = 0; round < 12; round++) {
      const path = `/${name}${round}`;
      await disk.remove(path);
      const file = await disk.create(path);
      await file.write(random.bytes(random.between(1, 6000)));
      if (random.chance(0.5)) await file.sync();
      if (random.chance(0.5)) await disk.rename(path, `/${name}`);
      if (random.chance(0.3)) await disk.syncDirectory('/');
      if (random.chance(0.3)) await database.execute('INSERT INTO t VALUES (?)', [round]);
      await clock.sleep(random.below(50));
    }
  };
  await Promise.all(['a', 'b', 'c'].map(task));
}

interface Run {
  readonly operations: readonly string[];
  readonly hash: string;
}

async function run(
  options: SimulationOptions,
  crash?: { index: number; when: 'before' | 'after' },
): Promise<Run> {
  const simulation = new Simulation(options);
  const nodes = ['ann', 'bob'].map((name) => new SimulatedNode(simulation, { name }));
  const operations: string[] = [];
  const say = ({ index, node, kind, detail }: Operation): string => `${index} ${node} ${kind} ${detail}`;
  simulation.observe((operation) => void operations.push(say(operation)));
  if (crash !== undefined) simulation.observe(crashAt(crash.index, crash.when));
  for (const node of nodes) void workload(node.boot(), simulation.stream('workload', node.name));
  await simulation.run({ for: 10_000 });
  for (const node of nodes.filter(({ running }) => !running)) {
    void workload(node.boot(), simulation.stream('again', node.name));
  }
  await simulation.run({ for: 10_000 });
  return { operations, hash: simulation.operations.traceHash() };
}

test('one seed gives one trace, crash and recovery included; other seeds and schedules give others', async () => {
  const crash = { index: 100, when: 'after' } as const;
  const first = await run({ seed: 1 }, crash);
  assert.ok(first.operations.length > 300, `${first.operations.length} operations`);
  assert.deepEqual(await run({ seed: 1 }, crash), first);
  const hashes = [
    first.hash,
    (await run({ seed: 1 })).hash,
    (await run({ seed: 1 }, { index: 101, when: 'after' })).hash,
    (await run({ seed: 2 }, crash)).hash,
    (await run({ seed: 1, scheduleSeed: 2 }, crash)).hash,
  ];
  assert.equal(new Set(hashes).size, hashes.length);
});

test('a run that crashes at an operation does the same up to it as the run that does not', async () => {
  const whole = await run({ seed: 3 });
  for (const index of [0, 1, 57, 150, 333]) {
    const crashed = await run({ seed: 3 }, { index, when: 'before' });
    assert.deepEqual(crashed.operations.slice(0, index + 1), whole.operations.slice(0, index + 1));
  }
});
