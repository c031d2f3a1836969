import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CollectKit } from '../../test/support/collect-kit.ts';
import { setRevoked } from '../ledger/clients.ts';
import { isLowtideError } from '../model/errors.ts';
import { findOffer } from '../ledger/offers.ts';

describe('what waits and is offered again', () => {
  it('is not written again while nothing of it is new', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    const first = await ann.offer(snapshot);
    let commits = 0;
    kit.simulation.observe(({ kind }) => void (commits += kind === 'database.commit' ? 1 : 0));
    assert.deepEqual(await ann.offer(snapshot), first);
    assert.equal(commits, 0);
    const [state] = await ann.offer(snapshot, { transfer: '03:00-04:00' });
    assert.ok(commits > 0);
    assert.equal(state?.phase, 'waiting');
    assert.equal((await findOffer(kit.ledger.db, snapshot.id))?.wishes.transfer, '03:00-04:00');
  });

  it('counts with the signature that was checked and no other', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    await ann.offer(snapshot);
    const forged = snapshot.signed.bytes.slice();
    forged[forged.length - 1]! ^= 1;
    const offered = ann.api.offer(forged, ann.keyring.signed.bytes, ann.wishes(snapshot));
    await assert.rejects(offered, (error) => isLowtideError(error, 'wrong-signature'));
  });

  it('is refused once its owner was shut out', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    await ann.offer(snapshot);
    await setRevoked(kit.ledger.db, ann.id, kit.simulation.now);
    await assert.rejects(ann.offer(snapshot), (error) => isLowtideError(error, 'revoked'));
  });
});
