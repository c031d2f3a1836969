import assert from 'node:assert/strict';
import { test } from 'node:test';
import { killNine } from './kill-nine.ts';

test('P1, P2: killed amid backup, transfer and commit, center and agent go on by themselves and lose nothing', async () => {
  const report = await killNine({
    rounds: 3,
    seed: 'short',
    treeBytes: 20e6,
    phases: ['backup', 'transfer', 'commit'],
    say: () => {},
  });
  const kills = [...report.kills.values()].reduce((sum, count) => sum + count, 0);
  assert.equal(kills, 3);
  assert.ok(report.snapshots >= 2, 'backups were taken between the kills');
  assert.deepEqual(report.alarms, []);
});
