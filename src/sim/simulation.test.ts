import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOUR_MS } from '../model/time.ts';
import { SimulatedNode } from './node.ts';
import { Simulation, SimulationError } from './simulation.ts';

const START = Date.UTC(2026, 6, 1, 22);
const make = (seed = 1): { simulation: Simulation; node: SimulatedNode } => {
  const simulation = new Simulation({ seed, start: START });
  return { simulation, node: new SimulatedNode(simulation, { name: 'ann' }) };
};

test('sleepers of all nodes wake in the order of their ends, at the right virtual time', async () => {
  const { simulation, node } = make();
  const other = new SimulatedNode(simulation, { name: 'bob' });
  const woken: string[] = [];
  const sleeper = async (
    { clock }: ReturnType<SimulatedNode['boot']>,
    name: string,
    ms: number,
  ): Promise<void> => {
    await clock.sleep(ms);
    woken.push(`${name} ${clock.now() - START}`);
    await clock.sleep(ms);
    woken.push(`${name} ${clock.now() - START}`);
  };
  const world = node.boot();
  const all = [sleeper(world, 'a', 2 * HOUR_MS), sleeper(world, 'b', 500), sleeper(other.boot(), 'c', 700)];
  await simulation.finish(Promise.all(all));
  assert.deepEqual(woken, ['b 500', 'c 700', 'b 1000', 'c 1400', 'a 7200000', 'a 14400000']);
});

test('run does what is due until then, and no more', async () => {
  const { simulation } = make();
  const fired: number[] = [];
  for (const ms of [30, 10, 20, 40]) simulation.after(ms, () => fired.push(ms));
  await simulation.run({ until: START + 30 });
  assert.deepEqual(fired, [10, 20, 30]);
  assert.equal(simulation.now, START + 30);
  await simulation.run({ for: 1000 });
  assert.deepEqual([fired, simulation.now], [[10, 20, 30, 40], START + 1030]);
});

test('runUntil stops at the first instant at which the condition holds, or says that it never did', async () => {
  const { simulation } = make();
  let count = 0;
  for (const ms of [10, 20, 30]) simulation.after(ms, () => count++);
  await simulation.runUntil(() => count === 2, START + HOUR_MS);
  assert.equal(simulation.now, START + 20);
  await assert.rejects(
    simulation.runUntil(() => count === 9, START + HOUR_MS),
    SimulationError,
  );
});

test('everything that can happen at one instant has happened before the next timer', async () => {
  const { simulation, node } = make();
  const { disk } = node.boot();
  const order: string[] = [];
  const work = async (): Promise<void> => {
    for (let turn = 0; turn < 100; turn++) await disk.makeDirectory(`/a${turn}`);
    order.push('work');
  };
  simulation.after(0, () => void work());
  simulation.after(0.001, () => order.push('timer'));
  await simulation.run({ for: 1 });
  assert.deepEqual(order, ['work', 'timer']);
});

test('an unhandled rejection of node code fails the run, with seed and time', async () => {
  const { simulation, node } = make(4711);
  const { clock } = node.boot();
  const daemon = async (): Promise<void> => {
    await clock.sleep(HOUR_MS);
    throw new Error('the daemon has died');
  };
  void daemon();
  await assert.rejects(simulation.run({ for: 2 * HOUR_MS }), (error) => {
    assert.ok(error instanceof SimulationError);
    assert.match(error.message, /the daemon has died.*seed 4711.*2026-07-01T23:00:00/);
    return true;
  });
});

test('an exception in a timer or an abort listener fails the run', async () => {
  const timer = make();
  timer.simulation.after(1, () => {
    throw new Error('in a timer');
  });
  await assert.rejects(timer.simulation.run({ for: 1000 }), /in a timer/);
  const listener = make();
  const stop = new AbortController();
  stop.signal.addEventListener('abort', () => {
    throw new Error('in a listener');
  });
  listener.simulation.after(1, () => stop.abort());
  await assert.rejects(listener.simulation.run({ for: 1000 }), /in a listener/);
});

test('an endless loop without virtual time is found out', async () => {
  const simulation = new Simulation({ seed: 1, callsPerInstant: 1000 });
  const { disk } = new SimulatedNode(simulation, { name: 'ann' }).boot();
  const loop = async (): Promise<void> => {
    for (;;) await disk.stat('/');
  };
  void loop();
  await assert.rejects(simulation.run({ for: 1000 }), /1000 port calls at one instant/);
});

test('a promise that can never settle is said so', async () => {
  const { simulation, node } = make();
  const { clock } = node.boot();
  await assert.rejects(simulation.finish(clock.sleep(Infinity)), /had not settled/);
});

test('the order of concurrent calls is drawn from the schedule seed, and only from it', async () => {
  const order = async (seed: number, scheduleSeed: number): Promise<string> => {
    const simulation = new Simulation({ seed, scheduleSeed });
    const { disk } = new SimulatedNode(simulation, { name: 'ann' }).boot();
    const finished: number[] = [];
    await Promise.all(
      Array.from({ length: 8 }, (_, at) => disk.makeDirectory(`/${at}`).then(() => finished.push(at))),
    );
    return finished.join('');
  };
  assert.equal(await order(1, 5), await order(2, 5));
  const orders = new Set(await Promise.all(Array.from({ length: 20 }, (_, at) => order(1, at))));
  assert.ok(orders.size > 5, `${orders.size} orders`);
});
