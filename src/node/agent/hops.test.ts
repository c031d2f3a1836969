import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import { copiesOf } from '../../ledger/copies.ts';
import type { Hop } from '../../model/exchange.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import type { AgentMachine } from '../../sim/machines.ts';

async function waysOf(kit: RelayKit, agent: AgentMachine, id: SnapshotId) {
  const rows = await kit.finish(copiesOf(agent.running!.parts.ledger.db, id));
  return rows.map((row) => ({ ...row, hops: JSON.parse(row.hops) as Hop[] }));
}

it('a copy that goes straight to a center has its one hop, with times, bytes and attempts (SEED fig. 6)', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.center('osaka', { windows: '13:00-14:00' });
  const ann = await kit.agent('ann', [tokyo, osaka]);
  await kit.pass(MINUTE_MS);
  const before = kit.fleet.blockBytesFrom('ann');
  const id = await kit.take(ann);
  await kit.pass(2 * HOUR_MS);
  const ways = await waysOf(kit, ann, id);
  const bytes = (kit.fleet.blockBytesFrom('ann') - before) / 2;
  for (const { center, phase, arrived_at, hops } of ways) {
    const [hop, ...more] = hops;
    assert.deepEqual([phase, more.length], ['safe', 0]);
    assert.ok([tokyo.face.id, osaka.face.id].includes(hop!.by) && hop!.by === center);
    assert.ok(hop!.bytes > 0 && Math.abs(hop!.bytes - bytes) < bytes / 2, `${hop!.bytes} of ${bytes}`);
    assert.deepEqual([hop!.arrivedAt, hop!.attempts], [arrived_at, 1]);
    assert.ok(hop!.offeredAt <= hop!.arrivedAt!);
  }
  assert.deepEqual(new Set(ways.map(({ hops }) => hops[0]!.name)), new Set(['tokyo', 'osaka']));
});

it('a transfer that was cut and went on counts as two attempts on its hop', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const ann = await kit.agent('ann', [tokyo]);
  kit.write(ann, 'large', 600_000);
  kit.fleet.network.setLine('ann', 'tokyo', { bytesPerSecond: 20_000 });
  await kit.pass(MINUTE_MS);
  const id = await kit.take(ann);
  await kit.pass(10_000);
  kit.fleet.network.cut('ann', 'tokyo');
  await kit.pass(5 * MINUTE_MS);
  kit.fleet.network.join('ann', 'tokyo');
  await kit.pass(HOUR_MS);
  const [copy] = await waysOf(kit, ann, id);
  assert.equal(copy!.phase, 'safe');
  assert.deepEqual(
    copy!.hops.map(({ name, attempts, arrivedAt }) => [name, attempts, arrivedAt]),
    [['tokyo', 2, copy!.arrived_at]],
  );
});
