import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import { copiesOf } from '../../ledger/copies.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import type { AgentMachine } from '../../sim/machines.ts';

async function copyAt(kit: RelayKit, agent: AgentMachine, id: SnapshotId) {
  const [copy] = await kit.finish(copiesOf(agent.running!.parts.ledger.db, id));
  const { phase, code, holder, since } = copy!;
  return { phase, code, holder, since };
}

it('an agent hears over two relays that its center cannot be reached, since when, and that it can again (P6)', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo', { windows: '20:00-21:00' });
  const osaka = await kit.relay('osaka', [tokyo]);
  const kobe = await kit.relay('kobe', [osaka]);
  const ann = await kit.agent('ann', [kobe]);
  await kit.pass(MINUTE_MS);
  const id = await kit.take(ann);
  await kit.pass(30 * MINUTE_MS);
  const before = await copyAt(kit, ann, id);
  assert.deepEqual([before.phase, before.code, before.holder], ['held', 'center-window', 'osaka']);
  const gone = kit.simulation.now;
  tokyo.crash();
  await kit.pass(10 * MINUTE_MS);
  const away = await copyAt(kit, ann, id);
  assert.deepEqual([away.phase, away.code, away.holder], ['held', 'center-unreachable', 'osaka']);
  assert.ok(away.since >= gone && away.since < gone + 2 * MINUTE_MS, `${away.since - gone} ms after it went`);
  await kit.pass(HOUR_MS);
  assert.equal((await copyAt(kit, ann, id)).since, away.since, 'it is told as it is');
  await kit.boot(tokyo);
  await kit.pass(15 * MINUTE_MS);
  assert.deepEqual((await copyAt(kit, ann, id)).code, 'center-window');
});

it('while a disk on the way is full that is the reason, and not that another attempt will be made (P6)', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  const ann = await kit.agent('ann', [osaka]);
  kit.write(ann, 'large', 400_000);
  await kit.pass(MINUTE_MS);
  tokyo.node.disk.leaveFree(100_000);
  const id = await kit.take(ann);
  await kit.pass(30 * MINUTE_MS);
  const full = await copyAt(kit, ann, id);
  assert.deepEqual([full.phase, full.code, full.holder], ['held', 'disk-full', 'osaka']);
  tokyo.node.disk.leaveFree(10_000_000);
  await kit.pass(2 * HOUR_MS);
  assert.equal((await copyAt(kit, ann, id)).phase, 'safe');
});
