import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CollectKit, NEVER } from '../../test/support/collect-kit.ts';
import { noise } from '../../test/support/depot-kit.ts';
import { isLowtideError } from '../model/errors.ts';

const KEY = noise('the key of the shop', 32);

describe('machines of one key domain', () => {
  it('store what they have in common once, and each gets its own receipt', async () => {
    const kit = await CollectKit.make();
    const [till, office] = [await kit.client('till', KEY), await kit.client('office', KEY)];
    assert.notEqual(till.id, office.id);
    await till.bring(await till.snapshot({ data: ['catalogue', 'prices', 'sales'] }));
    const before = (await kit.depot.usage()).bytes;
    const snapshot = await office.snapshot({ data: ['catalogue', 'prices', 'letters'] });
    const listener = office.listen();
    await office.offer(snapshot);
    const { order } = await listener.order();
    const ids = snapshot.blocks.map(({ id }) => id);
    const letters = office.block('letters');
    const missing = await office.api.missing(order, ids);
    const [pages, content] = [snapshot.blocks.slice(3), snapshot.blocks.slice(0, 3)];
    assert.deepEqual(
      missing.filter((id) => content.some((block) => block.id === id)),
      [letters.id],
    );
    await office.send(order, snapshot);
    assert.equal((await office.api.commit(order)).kind, 'receipt');
    const sent = pages.reduce((sum, { bytes }) => sum + bytes.length, letters.bytes.length);
    // Frames and pack headers apart.
    assert.ok((await kit.depot.usage()).bytes - before < sent + 1000);
    const all = await Array.fromAsync(office.api.fetch(snapshot.id, ids, NEVER));
    assert.equal(all.length, new Set(ids).size);
  });

  it('are not joined by one that only knows what the domain is called', async () => {
    const kit = await CollectKit.make();
    const [till, spy] = [await kit.client('till', KEY), await kit.client('spy')];
    await till.bring(await till.snapshot());
    // Till's own keyring, as any store has it: it proves nothing for another client.
    const snapshot = await spy.snapshot({ manifest: { keyring: till.keyring.signed.hash } });
    const bytes = till.keyring.signed.bytes;
    await assert.rejects(spy.api.offer(snapshot.signed.bytes, bytes, spy.wishes(snapshot)), (error) =>
      isLowtideError(error, 'damaged-keyring'),
    );
  });

  it('are nothing to a machine that has a domain of its own', async () => {
    const kit = await CollectKit.make();
    const [till, ben] = [await kit.client('till', KEY), await kit.client('ben')];
    const tills = await till.snapshot();
    await till.bring(tills);
    const bens = await ben.snapshot();
    const listener = ben.listen();
    await ben.offer(bens);
    const { order } = await listener.order();
    const ids = tills.blocks.map(({ id }) => id);
    assert.deepEqual(await ben.api.missing(order, ids), ids);
    assert.deepEqual(await ben.api.stored(ben.id, ids), []);
    assert.deepEqual(await Array.fromAsync(ben.api.fetch(bens.id, ids, NEVER)), []);
    await assert.rejects(Array.fromAsync(ben.api.fetch(tills.id, ids, NEVER)), (error) =>
      isLowtideError(error, 'no-such-snapshot'),
    );
  });
});
