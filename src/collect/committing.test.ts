import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ClientSnapshot, CollectKit, type TestClient } from '../../test/support/collect-kit.ts';
import { openReceipt } from '../format/receipt.ts';
import { copiesOf } from '../ledger/copies.ts';
import { historyOf } from '../ledger/history.ts';
import { listOffers } from '../ledger/offers.ts';
import { isLowtideError } from '../model/errors.ts';
import type { OrderId } from '../model/ids.ts';

const happened = async (kit: CollectKit, snapshot: ClientSnapshot): Promise<string[]> =>
  (await historyOf(kit.ledger.db, snapshot.id)).map(({ what }) => what);

async function orderFor(ann: TestClient, snapshot: ClientSnapshot): Promise<OrderId> {
  const listener = ann.listen();
  await ann.offer(snapshot);
  return (await listener.order()).order;
}

describe('commit', () => {
  it('names what is missing, pages and data alike, and closes when that has come', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot({ data: ['a', 'b', 'c'] });
    const order = await orderFor(ann, snapshot);
    const root = snapshot.signed.manifest.refs.id;
    assert.deepEqual(await ann.api.commit(order), { kind: 'missing', missing: [root] });
    await ann.send(order, {
      ...snapshot,
      blocks: snapshot.blocks.filter(({ id }) => id !== ann.block('b').id),
    });
    assert.deepEqual(await ann.api.commit(order), { kind: 'missing', missing: [ann.block('b').id] });
    assert.equal(await kit.depot.hasManifest(snapshot.id), false, 'nothing is committed before all is there');
    assert.deepEqual((await copiesOf(kit.ledger.db, snapshot.id))[0]?.receipt, null);
    await ann.send(order, snapshot);
    const answer = await ann.api.commit(order);
    assert.ok(answer.kind === 'receipt');
    const receipt = openReceipt(answer.receipt, kit.face.receiptKey);
    assert.deepEqual(
      [receipt.kind, receipt.snapshot, receipt.client, receipt.blocks],
      ['center', snapshot.id, ann.id, snapshot.signed.manifest.refs.blocks],
    );
  });

  it('repeated, gives the same receipt byte for byte and does nothing twice', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    const order = await orderFor(ann, snapshot);
    await ann.send(order, snapshot);
    const first = await ann.api.commit(order);
    await kit.pass(60_000);
    assert.deepEqual(await ann.api.commit(order), first);
    assert.deepEqual(await happened(kit, snapshot), ['offered', 'ordered', 'arrived', 'receipted']);
    assert.equal(kit.simulation.recorder.events('committed').length, 1);
    const ben = await kit.client('ben');
    await assert.rejects(ben.api.commit(order), (error) => isLowtideError(error, 'order-ended'));
  });

  it('asked for twice at once, gives one receipt', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    const order = await orderFor(ann, snapshot);
    await ann.send(order, snapshot);
    const [one, other] = await Promise.all([ann.api.commit(order), ann.api.commit(order)]);
    assert.ok(one.kind === 'receipt' && other.kind === 'receipt');
    assert.deepEqual(one.receipt, other.receipt);
    assert.deepEqual(await happened(kit, snapshot), ['offered', 'ordered', 'arrived', 'receipted']);
    assert.equal(kit.simulation.recorder.events('committed').length, 1);
  });

  it('that nobody heard of is found again by its copy after a restart', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    const receipt = await ann.bring(snapshot);
    await kit.crash();
    const [copy] = (await ann.api.copies({ snapshots: [snapshot.id], manifests: true })).rows;
    assert.equal(copy?.phase, 'safe');
    assert.deepEqual(Buffer.from(copy.receipt!), Buffer.from(receipt));
    assert.deepEqual(Buffer.from(copy.manifest!), Buffer.from(snapshot.signed.bytes));
    const [state] = await ann.offer(snapshot);
    assert.equal(state?.phase, 'safe');
    assert.deepEqual(await listOffers(kit.ledger.db), [], 'an offer of what is here is nothing to plan');
  });

  it('of a snapshot whose base was withdrawn says base-unknown, once, and nobody is ordered to send it again', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const base = await ann.snapshot({ data: ['a'] });
    const leaning = await ann.snapshot({ sequence: 2, base, data: ['a', 'b'] });
    const listener = ann.listen();
    await ann.offer(base);
    await ann.offer(leaning);
    await ann.api.withdraw(base.id, ann.voidRecord(base.id), []);
    await kit.pass(3_600_000);
    assert.equal(listener.sends.filter(({ snapshot }) => snapshot === leaning.id).length, 0);
    const [copy] = (await ann.api.copies({ snapshots: [leaning.id] })).rows;
    assert.deepEqual([copy?.phase, copy?.code], ['behind', 'base-unknown']);
  });

  it('says base-unknown too if the base has gone since, and puts the snapshot behind', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const base = await ann.snapshot({ data: ['a'] });
    await ann.bring(base);
    const leaning = await ann.snapshot({ sequence: 2, base, data: ['a', 'b'] });
    const order = await orderFor(ann, leaning);
    await kit.depot.removeManifest(base.id);
    await ann.send(order, leaning);
    await assert.rejects(ann.api.commit(order), (error) => isLowtideError(error, 'base-unknown'));
    await kit.pass(3_600_000);
    const [copy] = (await ann.api.copies({ snapshots: [leaning.id] })).rows;
    assert.deepEqual([copy?.phase, copy?.code], ['behind', 'base-unknown']);
    assert.equal(kit.collector.planning.reasonFor(leaning.id), null);
    assert.deepEqual(await happened(kit, leaning), ['offered', 'ordered', 'failed']);
  });

  it('of a snapshot that its owner withdraws meanwhile gives no receipt', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    const order = await orderFor(ann, snapshot);
    await ann.send(order, snapshot);
    const results = await Promise.allSettled([
      ann.api.withdraw(snapshot.id, ann.voidRecord(snapshot.id), []),
      ann.api.commit(order),
    ]);
    const [copy] = await copiesOf(kit.ledger.db, snapshot.id);
    const receipted = results[1].status === 'fulfilled';
    assert.equal(copy?.phase, receipted ? 'safe' : 'void');
    assert.deepEqual(await listOffers(kit.ledger.db), []);
  });

  it('may take longer than an idle order may: the order is not taken away meanwhile', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    const order = await orderFor(ann, snapshot);
    await ann.send(order, snapshot);
    const { depot } = kit;
    const closure = depot.closure.bind(depot);
    depot.closure = async (...values) => {
      await kit.world.clock.sleep(600_000);
      return await closure(...values);
    };
    const committing = ann.api.commit(order);
    assert.equal((await kit.simulation.finish(committing)).kind, 'receipt');
    await kit.pass(3_600_000);
    assert.deepEqual(await happened(kit, snapshot), ['offered', 'ordered', 'arrived', 'receipted']);
    assert.equal(kit.collector.planning.reasonFor(snapshot.id), null);
  });

  it('amid which the power fails leaves either a receipt or nothing, and goes on', async () => {
    for (let left = 0; left < 40; left++) {
      const kit = await CollectKit.make({ seed: left });
      const ann = await kit.client('ann');
      const snapshot = await ann.snapshot();
      const order = await orderFor(ann, snapshot);
      await ann.send(order, snapshot);
      let count = 0;
      let crashed = false;
      const end = kit.simulation.observe(() => {
        if (count++ < left) return undefined;
        end();
        crashed = true;
        return left % 2 === 0 ? 'crash-before' : 'crash-after';
      });
      const answer = ann.api.commit(order);
      await kit.simulation
        .runUntil(() => crashed || count > 200, kit.simulation.now + 1000)
        .catch(() => undefined);
      end();
      if (!crashed) {
        assert.equal((await answer).kind, 'receipt');
        break;
      }
      await kit.crash();
      const [copy] = (await ann.api.copies({ snapshots: [snapshot.id] })).rows;
      if (copy?.phase === 'safe') {
        assert.ok(await kit.depot.hasManifest(snapshot.id), 'a receipt stands for a manifest');
        assert.deepEqual((await kit.depot.closure(snapshot.signed)).missing, []);
      }
      await ann.bring(snapshot).catch((error: unknown) => assert.equal(copy?.phase, 'safe', String(error)));
      assert.deepEqual(await kit.depot.pins(), [], `nothing stays pinned after a crash at ${left}`);
    }
  });
});
