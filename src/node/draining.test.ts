import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bell } from '../model/bell.ts';
import { SECOND_MS } from '../model/time.ts';
import { SimulatedNode } from '../sim/node.ts';
import { Simulation } from '../sim/simulation.ts';
import { drainWhenRung } from './draining.ts';

test('the first ring is answered at once, and those that follow soon by one more look', async () => {
  const simulation = new Simulation({ seed: 1 });
  const world = new SimulatedNode(simulation, { name: 'node' }).boot();
  const bell = new Bell();
  const drains: number[] = [];
  const drain = async (): Promise<null> => {
    drains.push(simulation.now - simulation.start);
    return null;
  };
  void drainWhenRung(world, bell, drain, new AbortController().signal);
  const { gather_ms: rest } = world.limits;
  for (let ms = 0; ms < rest; ms += rest / 10) simulation.after(ms, () => bell.ring());
  await simulation.run({ for: SECOND_MS });
  assert.deepEqual(drains, [0, rest]);
});
