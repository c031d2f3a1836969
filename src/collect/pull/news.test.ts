import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NEVER } from '../../../test/support/fleet-kit.ts';
import { pullInto, receiptedAt } from '../../../test/support/pull-kit.ts';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import { linesOf } from '../../node/center/view.ts';
import { copiesOf } from '../../ledger/copies.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import type { NodeMachine } from '../../sim/joining.ts';
import type { AgentMachine, CenterMachine } from '../../sim/machines.ts';
import { SimulatedNode } from '../../sim/node.ts';

/** The machine burned; another one has its keys from a copy, and nothing else. */
async function rebuild(kit: RelayKit, center: CenterMachine): Promise<void> {
  const blank = new SimulatedNode(kit.simulation, { name: `parts for ${center.name}` });
  center.crash();
  center.node.restoreState(blank.snapshotState());
  await kit.boot(center);
}

async function phaseAt(
  kit: RelayKit,
  agent: AgentMachine,
  id: SnapshotId,
  { face }: NodeMachine,
): Promise<string> {
  const copies = await kit.finish(copiesOf(agent.running!.parts.ledger.db, id));
  const { phase, code } = copies.find(({ center }) => center === face.id)!;
  return `${phase} ${code}`.trimEnd();
}

describe('who had heard that a rebuilt center lost its backups', () => {
  it('hears that they are there again when it has pulled them', async () => {
    const kit = new RelayKit();
    const [oslo, rome] = [await kit.center('oslo'), await kit.center('rome')];
    const ann = await kit.agent('ann', [oslo, rome]);
    const id = await kit.take(ann);
    await kit.pass(10 * MINUTE_MS);
    assert.equal(await phaseAt(kit, ann, id, rome), 'safe');
    await rebuild(kit, rome);
    await kit.finish(ann.enroll());
    await kit.pass(10 * MINUTE_MS);
    assert.equal(await phaseAt(kit, ann, id, rome), 'behind center-went-back');
    const pull = await pullInto(kit.fleet, rome, [oslo]);
    await kit.finish(pull.run(NEVER));
    await kit.pass(MINUTE_MS);
    assert.equal(await phaseAt(kit, ann, id, rome), 'safe');
  });

  it('hears it through a relay too', async () => {
    const kit = new RelayKit();
    const [oslo, rome] = [await kit.center('oslo'), await kit.center('rome')];
    const shop = await kit.relay('shop', [oslo, rome]);
    const ann = await kit.agent('ann', [shop]);
    const id = await kit.take(ann);
    await kit.pass(10 * MINUTE_MS);
    assert.equal(await phaseAt(kit, ann, id, rome), 'safe');
    await rebuild(kit, rome);
    await kit.finish(shop.enroll());
    await kit.pass(HOUR_MS);
    // What is safe is looked at again when a session begins.
    await kit.restart(ann);
    await kit.pass(MINUTE_MS);
    assert.equal(await phaseAt(kit, ann, id, rome), 'behind center-went-back');
    const pull = await pullInto(kit.fleet, rome, [oslo]);
    await kit.finish(pull.run(NEVER));
    assert.deepEqual(pull.problems, []);
    await kit.pass(10 * MINUTE_MS);
    assert.equal(await phaseAt(kit, ann, id, rome), 'safe');
  });

  it('of a center that was joined later, hears that it has by a pull what was collected before; what is taken then leans on it', async () => {
    const kit = new RelayKit();
    const oslo = await kit.center('oslo');
    const ann = await kit.agent('ann', [oslo]);
    const id = await kit.take(ann);
    await kit.pass(10 * MINUTE_MS);
    const rome = await kit.center('rome');
    await kit.rejoin(ann, [oslo, rome]);
    await kit.pass(10 * MINUTE_MS);
    const { db } = ann.running!.parts.ledger;
    assert.equal((await kit.finish(copiesOf(db, id))).length, 1, 'nothing is owed to Rome of old');
    const pull = await pullInto(kit.fleet, rome, [oslo]);
    await kit.finish(pull.run(NEVER));
    await kit.pass(MINUTE_MS);
    assert.equal(await phaseAt(kit, ann, id, rome), 'safe');
    kit.write(ann, 'c', 3_000);
    const next = await kit.take(ann);
    await kit.pass(10 * MINUTE_MS);
    assert.equal((await kit.finish(rome.running!.depot.manifest(next))).manifest.base, id);
    assert.equal(await phaseAt(kit, ann, next, rome), 'safe');
    assert.deepEqual(await receiptedAt(kit.fleet, rome), [id, next]);
  });

  it('a relay that still has them is a source as good as a center', async () => {
    const kit = new RelayKit();
    const rome = await kit.center('rome');
    const shop = await kit.relay('shop', [rome], { cacheBytes: 8 << 20 });
    const ann = await kit.agent('ann', [shop]);
    const id = await kit.take(ann);
    await kit.pass(10 * MINUTE_MS);
    assert.equal(await phaseAt(kit, ann, id, rome), 'safe');
    await rebuild(kit, rome);
    const pull = await pullInto(kit.fleet, rome, [shop]);
    assert.equal(await kit.finish(pull.run(NEVER)), true);
    assert.deepEqual(pull.problems, []);
    assert.deepEqual(await receiptedAt(kit.fleet, rome), [id]);
    await kit.finish(shop.enroll());
    await kit.pass(2 * HOUR_MS);
    assert.equal(await phaseAt(kit, ann, id, rome), 'safe');
  });
});

it('a center that pulls hears who has left what, and makes no ways of it', async () => {
  const kit = new RelayKit();
  const [oslo, rome] = [await kit.center('oslo'), await kit.center('rome')];
  const [shop, store] = [await kit.relay('shop', [oslo]), await kit.relay('store', [oslo])];
  const ann = await kit.agent('ann', [shop, store]);
  await kit.take(ann);
  await kit.pass(HOUR_MS);
  await kit.leave(ann, shop);
  await kit.pass(MINUTE_MS);
  const pull = await pullInto(kit.fleet, rome, [oslo]);
  await kit.finish(pull.run(NEVER));
  const lines = await kit.finish(linesOf({ node: rome.running! }));
  assert.deepEqual(lines.find(({ name }) => name === 'ann')!.via, ['store']);
});
