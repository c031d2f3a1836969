import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Acknowledged, CollectKit, HandStream, type TestClient } from '../../test/support/collect-kit.ts';
import { lastChanges } from '../ledger/audit.ts';
import { findClient } from '../ledger/clients.ts';
import type { Held } from '../ledger/holds.ts';
import { isLowtideError } from '../model/errors.ts';
import { HOUR_MS, SECOND_MS } from '../model/time.ts';
import { holdBack } from './holding-back.ts';

/** Holds a client back for so long, null for ever; or releases it. */
async function hold(
  kit: CollectKit,
  client: TestClient,
  ms: number | null | 'release',
  why = '',
): Promise<void> {
  const row = (await findClient(kit.ledger.db, client.id))!;
  const since = kit.simulation.now;
  const held: Held | null = ms === 'release' ? null : { since, until: ms === null ? null : since + ms, why };
  await holdBack(kit.collector, row, held);
}
const codeOf = async (client: TestClient): Promise<string> => (await client.api.copies({})).rows[0]!.code;

describe('S66: a client that the operator holds back', () => {
  it('stops what it is sending, loses nothing, and is ordered again when it is released', async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const snapshot = await ann.snapshot({ data: ['a', 'b', 'c'] });
    const [listener, bens] = [ann.listen(), ben.listen()];
    await ann.offer(snapshot);
    const { order } = await listener.order();
    const stream = new HandStream();
    const heard = new Acknowledged(ann.api.blocks(order, stream));
    const [first, ...rest] = snapshot.blocks.map(({ id }) => id);
    stream.push(snapshot.blocks[0]!);
    await kit.pass(100);
    await hold(kit, ann, null, 'its disk is being replaced');
    await heard.done;
    await kit.simulation.settle();
    assert.deepEqual(heard.ids, [first]);
    assert.ok(isLowtideError(heard.error, 'order-ended'));
    assert.deepEqual(listener.stops, [{ kind: 'stop', order, code: 'held-back' }]);
    await ben.offer(await ben.snapshot());
    await bens.order();
    await kit.pass(HOUR_MS);
    assert.equal(await codeOf(ann), 'held-back');
    assert.equal(listener.sends.length, 1);
    await hold(kit, ann, 'release');
    const next = await listener.order();
    assert.deepEqual(await ann.api.missing(next.order, [first!, ...rest]), rest);
    const audit = (await lastChanges(kit.ledger.db, 9)).map(({ key, before, after }) => [key, before, after]);
    const text = 'until released: its disk is being replaced';
    assert.deepEqual(audit, [
      ['hold ann', text, null],
      ['hold ann', null, text],
    ]);
  });

  it('is still held back after a restart, and not longer than it was said', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    await hold(kit, ann, 2 * HOUR_MS);
    await kit.restart();
    const listener = ann.listen();
    await ann.offer(await ann.snapshot());
    const until = kit.simulation.now + 2 * HOUR_MS;
    await kit.pass(HOUR_MS);
    assert.equal(await codeOf(ann), 'held-back');
    await kit.pass(until - kit.simulation.now - HOUR_MS / 2);
    assert.equal(listener.sends.length, 0);
    await kit.pass(HOUR_MS / 2 + 2 * SECOND_MS);
    assert.equal(listener.sends.length, 1);
    await kit.restart();
    ann.listen();
    await kit.pass(2 * SECOND_MS);
    assert.notEqual(await codeOf(ann), 'held-back');
  });
});
