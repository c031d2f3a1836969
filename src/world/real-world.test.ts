import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addTask } from '../../test/conformance/tasks.ts';
import { limits, tinyLimits } from '../model/limits.ts';
import { silentMonitor } from '../../test/support/monitor.ts';
import { realWorld } from './real-world.ts';

test('the real world has every port, the limits asked for, and ends', async () => {
  const world = realWorld({ monitor: silentMonitor, limits: tinyLimits });
  assert.equal(world.limits, tinyLimits);
  assert.equal(world.monitor, silentMonitor);
  assert.equal(world.random.bytes(8).length, 8);
  assert.ok(world.clock.now() > 0);
  assert.equal((await world.disk.stat('/'))?.kind, 'directory');
  assert.equal((await world.files.lstat('' as never))?.type, 'directory');
  assert.equal(await world.work.run(addTask, { a: 1, b: 2 }), 3);
  await world.close();
  const plain = realWorld({ monitor: silentMonitor });
  assert.equal(plain.limits, limits);
  await plain.close();
});
