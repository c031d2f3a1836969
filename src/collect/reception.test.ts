import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CollectKit } from '../../test/support/collect-kit.ts';
import { historyOf } from '../ledger/history.ts';
import { listOffers } from '../ledger/offers.ts';
import { listSnapshots } from '../ledger/snapshots.ts';
import { KeyStore } from '../format/domain-keys.ts';
import { signKeyring } from '../format/keyring.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';

const refusedWith = (code: ErrorCode) => (error: unknown) => isLowtideError(error, code);

describe('reception', () => {
  it('is durable before it answers: after a power loss the offer is still queued', async () => {
    const kit = await CollectKit.make({ conditions: { windows: '22:00-23:00' } });
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    await ann.offer(snapshot);
    await kit.crash();
    const [offer] = await listOffers(kit.ledger.db);
    assert.equal(offer?.snapshot, snapshot.id);
    assert.deepEqual(Buffer.from(offer.manifest), Buffer.from(snapshot.signed.bytes));
    assert.equal(kit.collector.planning.reasonFor(snapshot.id)?.code, 'center-window');
    const listener = ann.listen();
    await kit.pass(11 * 3_600_000);
    assert.equal(listener.sends[0]?.snapshot, snapshot.id);
  });

  it('takes the same offer again without doing anything twice', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    const first = await ann.offer(snapshot);
    const second = await ann.offer(snapshot);
    assert.deepEqual(second, first);
    assert.equal((await listOffers(kit.ledger.db)).length, 1);
    assert.deepEqual(
      (await historyOf(kit.ledger.db, snapshot.id)).map(({ what }) => what),
      ['offered'],
    );
    assert.equal(kit.simulation.recorder.events('reception').length, 1);
  });

  it('has the thread that hashes prepared for what is queued, each time, and not for what is here already', async () => {
    const kit = await CollectKit.make();
    const asked: number[] = [];
    Object.assign(kit.world.work, { prepareToHash: (bytes: number) => asked.push(bytes) });
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    await ann.offer(snapshot);
    await ann.offer(snapshot);
    const [offer] = await listOffers(kit.ledger.db);
    assert.ok(offer !== undefined && offer.wishes.bytes > 0);
    assert.deepEqual(asked, [offer.wishes.bytes, offer.wishes.bytes]);
    await ann.bring(snapshot);
    asked.splice(0);
    await ann.offer(snapshot);
    assert.deepEqual(asked, []);
  });

  it('counts new wishes at once, also of one that is being sent', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    const listener = ann.listen();
    await ann.offer(snapshot);
    const { order } = await listener.order();
    const [state] = await ann.offer(snapshot, { transfer: '20:00-21:00' });
    await kit.pass(1000);
    assert.deepEqual(listener.stops, [{ kind: 'stop', order, code: 'client-window' }]);
    assert.equal(state?.phase, 'waiting');
    assert.equal(kit.collector.planning.reasonFor(snapshot.id)?.code, 'client-window');
  });

  it("refuses another client's manifest, and one that its client has not signed", async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const bens = await ben.snapshot();
    await assert.rejects(ann.offer(bens), refusedWith('forbidden'));
    const forged = await ann.snapshot({ signingKey: ben.signingKey });
    await assert.rejects(ann.offer(forged), refusedWith('wrong-signature'));
    const garbage = ann.api.offer(
      new Uint8Array(40),
      ann.keyring.signed.bytes,
      ann.wishes(await ann.snapshot()),
    );
    await assert.rejects(garbage, refusedWith('damaged-manifest'));
    assert.deepEqual(await listSnapshots(kit.ledger.db), []);
  });

  it('refuses a keyring that is not the one that the manifest names', async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const snapshot = await ann.snapshot();
    const offered = ann.api.offer(snapshot.signed.bytes, ben.keyring.signed.bytes, ann.wishes(snapshot));
    await assert.rejects(offered, refusedWith('damaged-keyring'));
    assert.deepEqual(await kit.depot.keyrings(), []);
  });

  it("lets nobody name a key domain that is another client's, and keeps no keyring that does", async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    await ann.offer(await ann.snapshot());
    const { keys, signed } = ben.keyring;
    const greedy = signKeyring(
      {
        ...ben.keyring,
        // All that Ben knows of Ann's domain is what it is called.
        keys: new KeyStore([...keys.epochs, { ...keys.newest, id: ann.keyring.keys.newest.id }]),
        body: {
          ...signed.keyring,
          epochs: [...signed.keyring.epochs, ...ann.keyring.signed.keyring.epochs].map((epoch, at) => ({
            ...epoch,
            epoch: at + 1,
          })),
        },
      },
      ben.signingKey,
    ).signed;
    const snapshot = await ben.snapshot({ manifest: { keyring: greedy.hash } });
    const offered = ben.api.offer(snapshot.signed.bytes, greedy.bytes, ben.wishes(snapshot));
    await assert.rejects(offered, refusedWith('forbidden'));
    assert.deepEqual(await kit.depot.keyrings(ben.id), []);
    assert.equal((await listSnapshots(kit.ledger.db, { client: ben.id })).length, 0);
  });

  it('keeps nothing of an offer whose wishes cannot be read', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    await assert.rejects(ann.offer(snapshot, { transfer: 'whenever' }), refusedWith('bad-schedule'));
    await assert.rejects(ann.offer(snapshot, { zone: 'Atlantis' }), refusedWith('bad-zone'));
    assert.deepEqual(await listSnapshots(kit.ledger.db), []);
    assert.deepEqual(await kit.depot.keyrings(), []);
  });

  it('keeps both snapshots of a fork, with one alarm', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const one = await ann.snapshot({ data: ['a'] });
    const other = await ann.snapshot({ data: ['b'] });
    await ann.offer(one);
    await ann.offer(other);
    await ann.offer(other);
    assert.equal((await listOffers(kit.ledger.db)).length, 2);
    assert.deepEqual(kit.alarms, ['sequence-fork']);
  });

  it('puts one behind whose base it never had, and queues one whose base is on its way', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const first = await ann.snapshot({ data: ['a'] });
    const second = await ann.snapshot({ sequence: 2, base: first, data: ['a', 'b'] });
    const third = await ann.snapshot({ sequence: 3, base: second, data: ['a', 'c'] });
    const [behind] = await ann.offer(third);
    assert.deepEqual([behind?.phase, behind?.code], ['behind', 'base-unknown']);
    assert.equal(kit.collector.planning.reasonFor(third.id), null);
    await ann.offer(first);
    const [waits] = await ann.offer(second);
    assert.deepEqual([waits?.phase, waits?.code], ['waiting', 'client-offline']);
    const [now] = await ann.offer(third);
    assert.equal(now?.phase, 'waiting');
  });

  it('does not plan what is behind after a restart', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const lost = await ann.snapshot({ data: ['a'] });
    const leaning = await ann.snapshot({ sequence: 2, base: lost, data: ['a', 'b'] });
    await ann.offer(leaning);
    await kit.restart();
    const listener = ann.listen();
    await kit.pass(60_000);
    assert.deepEqual(listener.sends, []);
  });

  it('takes up what leans on a snapshot once that has come', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const first = await ann.snapshot({ data: ['a'] });
    const second = await ann.snapshot({ sequence: 2, base: first, data: ['a', 'b'] });
    await ann.offer(second);
    await ann.bring(first);
    const listener = ann.listen();
    assert.equal((await listener.order()).snapshot, second.id);
  });
});
