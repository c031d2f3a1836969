import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulatedRig } from '../../../test/backup/rig.ts';
import { chunkDigest } from '../../format/domain-keys.ts';
import { Sealer } from './sealer.ts';
import type { SealInput } from '../read/tasks.ts';

test('by default small files together get one level less than a large chunk; what was asked for stays', async () => {
  const { rig } = await simulatedRig();
  const asked: (readonly [level: number, isRun: boolean])[] = [];
  const run: typeof rig.world.work.run = (task, input) => {
    const { level, chunk } = input as SealInput;
    asked.push([level, chunk === null]);
    return rig.world.work.run(task, input);
  };
  const world = { limits: rig.world.limits, work: { ...rig.world.work, lanes: 1, run } };
  const payload = Buffer.alloc(2000, 'the same again ');
  const digest = chunkDigest(rig.keys, payload);
  for (const level of [3, 1, 15, 0]) {
    const sealer = new Sealer(world, rig.keys, level, async () => undefined);
    for (const chunk of [null, digest])
      await sealer.submit({ block: 0, payload, chunk, chunks: [], release: () => {} });
    await sealer.drain();
  }
  const levels = (isRun: boolean): number[] =>
    asked.filter((one) => one[1] === isRun).map(([level]) => level);
  assert.deepEqual(levels(true), [2, 1, 15, 0]);
  assert.deepEqual(levels(false), [3, 1, 15, 0]);
});
