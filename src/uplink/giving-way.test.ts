import assert from 'node:assert/strict';
import { it } from 'node:test';
import { tinyLimits } from '../model/limits.ts';
import type { OrderId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { Pace } from '../protocol/pace.ts';
import { SimulatedNode } from '../sim/node.ts';
import { Simulation } from '../sim/simulation.ts';
import { giveWay } from './giving-way.ts';

it('S74: one round trip that shows a queue is enough to make room, and the rate comes back by and by', async () => {
  const simulation = new Simulation({ seed: 1, start: 0, limits: tinyLimits });
  const { clock } = new SimulatedNode(simulation, { name: 'ann' }).boot();
  const pace = new Pace(clock, null);
  const stop = new AbortController();
  let trip = 20;
  const asked = { count: 0 };
  const missing: CenterApi['missing'] = async () => {
    asked.count++;
    await clock.sleep(trip);
    return [];
  };
  // It sends all that it may.
  const sending = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await pace.take(pace.pieceBytes, stop.signal);
      await clock.sleep(1);
    }
  };
  const both = Promise.all([
    sending(),
    giveWay(clock, { missing } as unknown as CenterApi, 'order' as OrderId, pace, stop.signal),
  ]);
  await simulation.run({ for: 20_000 });
  const before = pace.bytesPerSecond!;
  assert.ok(before > 1_000_000, String(before));
  trip = 120;
  const already = asked.count;
  while (asked.count < already + 2) await simulation.run({ for: 5 });
  await simulation.run({ for: 5 });
  assert.ok(pace.bytesPerSecond! < 0.6 * before, `${pace.bytesPerSecond} of ${before} after one slow answer`);
  await simulation.run({ for: 3000 });
  const least = pace.bytesPerSecond!;
  assert.ok(least < 0.1 * before, `${least} of ${before}`);
  trip = 20;
  await simulation.run({ for: 1000 });
  assert.ok(pace.bytesPerSecond! < 1.2 * least, 'they may come back');
  await simulation.run({ for: 30_000 });
  assert.ok(pace.bytesPerSecond! > 5 * least);
  stop.abort();
  await simulation.finish(both);
});
