import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RelayKit } from '../../test/support/relay-kit.ts';
import { copiesOf, expectedIn } from '../ledger/copies.ts';
import type { Expected } from '../model/exchange.ts';
import type { SnapshotId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../model/time.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../sim/machines.ts';

/** What the agent heard last of its copy at a center. */
async function heard(
  kit: RelayKit,
  ann: AgentMachine,
  id: SnapshotId,
  center: CenterMachine,
): Promise<Expected | null> {
  const { ledger } = ann.running!.parts;
  const copy = (await kit.finish(copiesOf(ledger.db, id))).find((each) => each.center === center.face.id);
  return expectedIn(copy!);
}

const ask = async (kit: RelayKit, { running }: AgentMachine | RelayMachine): Promise<void> => {
  for (const uplink of running!.uplinks) await kit.finish(uplink.refresh());
};

it('S75: through a relay a machine hears when the relay expects it, and then when the center does', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  const ann = await kit.agent('ann', [osaka]);
  await kit.pass(MINUTE_MS);
  const now = kit.simulation.now;
  const zone = 'UTC';
  const hour = (count: number): string => new Date(now + count * HOUR_MS).toISOString().slice(11, 16);
  osaka.running!.collector.setConditions({ windows: `${hour(2)}-${hour(3)}`, zone, streams: 1 });
  tokyo.running!.collector.setConditions({ windows: `${hour(5)}-${hour(6)}`, zone, streams: 1 });
  const id = await kit.take(ann);
  await kit.pass(2 * MINUTE_MS);
  await ask(kit, ann);
  const atRelay = await heard(kit, ann, id, tokyo);
  assert.equal(atRelay?.by, 'osaka');
  assert.ok(atRelay.early > now + 1.9 * HOUR_MS && atRelay.late < now + 2.1 * HOUR_MS);
  assert.equal(atRelay.place, 1);
  await kit.pass(3 * HOUR_MS);
  await ask(kit, osaka);
  await ask(kit, ann);
  const atCenter = await heard(kit, ann, id, tokyo);
  assert.equal(atCenter?.by, 'tokyo');
  assert.ok(atCenter.early > now + 4.9 * HOUR_MS && atCenter.late < now + 5.1 * HOUR_MS);
  await kit.pass(3 * HOUR_MS);
  assert.equal(await heard(kit, ann, id, tokyo), null, 'it is there');
});
