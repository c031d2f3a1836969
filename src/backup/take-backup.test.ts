import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noise, simulatedRig } from '../../test/backup/rig.ts';

test('what was backed up can be read back', async () => {
  const { node, simulation, rig } = await simulatedRig();
  node.files.write('/home/ann/a', 'hello');
  node.files.write('/home/ann/b', noise('b', 100_000));
  node.files.write('/home/ann/c', noise('c', 700));
  node.files.symlink('/home/ann/d', 'a');
  await simulation.run({ for: 60_000 });
  const result = await rig.take();
  const entries = await rig.entries(result.signed);
  for (const [path, entry] of entries) {
    if (entry.type === 'file')
      assert.deepEqual(Buffer.from(await rig.content(entry)), Buffer.from(node.files.read(path)));
  }
});
