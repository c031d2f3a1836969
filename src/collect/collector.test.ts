import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Acknowledged, CollectKit, HandStream } from '../../test/support/collect-kit.ts';
import { copiesOf } from '../ledger/copies.ts';
import { historyOf } from '../ledger/history.ts';
import { isLowtideError } from '../model/errors.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../model/time.ts';

const ended = (error: unknown): boolean => isLowtideError(error, 'order-ended');

/** Two clients and one stream: ann has been ordered to send, ben waits. */
async function twoAndOneStream() {
  const kit = await CollectKit.make({ conditions: { streams: 1 } });
  const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
  const anns = await ann.snapshot({ data: ['a', 'b', 'c', 'd'] });
  const bens = await ben.snapshot();
  const listener = ann.listen();
  await ann.offer(anns);
  const { order } = await listener.order();
  const waiting = ben.listen();
  // Ann was first: two offers of one instant are taken in the order of their ids.
  await kit.pass(1);
  await ben.offer(bens);
  return { kit, ann, ben, anns, bens, listener, waiting, order };
}

describe('an order', () => {
  it('that nobody does anything about ends as failed, and the next client gets the stream', async () => {
    const { kit, ann, anns, bens, waiting, order } = await twoAndOneStream();
    const { order_idle_ms, plan_interval_ms } = kit.world.limits;
    await kit.pass(order_idle_ms - SECOND_MS);
    assert.equal(waiting.sends.length, 0);
    await kit.pass(plan_interval_ms + SECOND_MS);
    assert.equal(waiting.sends[0]?.snapshot, bens.id);
    await assert.rejects(ann.api.missing(order, []), ended);
    const lines = (await historyOf(kit.ledger.db, anns.id)).map(({ what, code }) => `${what} ${code}`);
    assert.deepEqual(lines, ['offered ', 'ordered ', 'failed order-idle']);
  });

  it('R36: that its client declines is over at once: the next has the stream, and its snapshot waits as after a failure', async () => {
    const { kit, ann, ben, anns, bens, listener, waiting, order } = await twoAndOneStream();
    await assert.rejects(ben.api.decline(order, 'busy'), ended, "another's order");
    await ann.api.decline(order, 'not-here');
    await kit.pass(10);
    assert.equal(waiting.sends[0]?.snapshot, bens.id);
    await assert.rejects(ann.api.missing(order, []), ended);
    await assert.rejects(ann.api.decline(order, 'not-here'), ended, 'over is over');
    const lines = (await historyOf(kit.ledger.db, anns.id)).map(({ what, code }) => `${what} ${code}`);
    assert.deepEqual(lines, ['offered ', 'ordered ', 'failed declined-not-here']);
    const sent = waiting.sends[0].order;
    await ben.send(sent, bens);
    await ben.api.commit(sent);
    await kit.pass(25 * SECOND_MS);
    assert.equal(listener.sends.length, 1, 'not asked again at once');
    const more = await ann.snapshot({ job: 'mail' });
    await ann.offer(more);
    await kit.pass(SECOND_MS);
    assert.equal(listener.sends[1]?.snapshot, more.id, 'only the one, not all that is its own');
  });

  it('whose stream of blocks stands still ends too, with what had come kept', async () => {
    const { kit, ann, anns, waiting, order } = await twoAndOneStream();
    const heard = new Acknowledged(ann.api.blocks(order, hanging(anns.blocks[0]!)));
    await kit.pass(4 * MINUTE_MS);
    assert.equal(waiting.sends.length, 1);
    assert.ok(heard.ended && isLowtideError(heard.error, 'order-ended'));
    assert.deepEqual(heard.ids, [anns.blocks[0]!.id]);
  });

  it('goes on as long as blocks come, however slowly', async () => {
    const { kit, ann, anns, waiting, order } = await twoAndOneStream();
    const stream = new HandStream();
    const heard = new Acknowledged(ann.api.blocks(order, stream));
    for (const block of anns.blocks) {
      await kit.pass(kit.world.limits.order_idle_ms - 10 * SECOND_MS);
      stream.push(block);
    }
    await kit.pass(kit.world.limits.order_idle_ms - 10 * SECOND_MS);
    stream.end();
    await kit.simulation.finish(heard.done);
    assert.equal(heard.error, null);
    assert.deepEqual(waiting.sends, []);
    assert.equal((await ann.api.commit(order)).kind, 'receipt');
    await kit.pass(SECOND_MS);
    assert.equal(waiting.sends.length, 1);
  });

  it("ends with its client's connection, and goes on when it is back", async () => {
    const { kit, ann, anns, listener, waiting, order } = await twoAndOneStream();
    listener.hangUp();
    await kit.pass(SECOND_MS);
    assert.equal(waiting.sends.length, 1, 'the next client gets the stream');
    await assert.rejects(ann.api.missing(order, []), ended);
    const [copy] = await copiesOf(kit.ledger.db, anns.id);
    assert.deepEqual([copy?.phase, copy?.code], ['waiting', 'client-offline']);
  });

  it('of the session before ends when a newer one takes over, which is ordered anew', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const anns = await ann.snapshot();
    const listener = ann.listen();
    await ann.offer(anns);
    const { order } = await listener.order();
    const newer = ann.listen();
    await kit.pass(SECOND_MS);
    assert.ok(listener.ended, 'the older is told to end');
    const again = await newer.order();
    assert.equal(again.snapshot, anns.id);
    assert.notEqual(again.order, order);
    await assert.rejects(ann.api.missing(order, []), ended);
    listener.hangUp();
    await kit.pass(SECOND_MS);
    assert.deepEqual(await ann.api.missing(again.order, []), [], 'the older has no say any more');
  });

  it('does not go out if the ledger cannot have it, and is given up', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    await ann.offer(snapshot);
    const fault = kit.node.faults.inject({
      kind: 'database.commit',
      path: '/ledger.db',
      times: Infinity,
      error: 'ENOSPC',
    });
    const listener = ann.listen();
    await kit.pass(MINUTE_MS);
    assert.deepEqual(listener.sends, []);
    assert.ok(kit.alarms.includes('disk-full'));
    fault.lift();
    await kit.pass(3 * MINUTE_MS);
    assert.equal(listener.sends.length, 1);
  });
});

describe('conditions', () => {
  it('count at once: a window that closes stops what is being sent, one that opens starts it', async () => {
    const { kit, ann, anns, listener, order } = await twoAndOneStream();
    const stream = new HandStream();
    const heard = new Acknowledged(ann.api.blocks(order, stream));
    stream.push(anns.blocks[0]!);
    await kit.pass(SECOND_MS);
    const before = kit.simulation.now;
    kit.collector.setConditions({ windows: '22:00-23:00', zone: 'UTC', streams: 1 });
    await kit.simulation.finish(heard.done);
    assert.equal(kit.simulation.now, before, 'without waiting for anything');
    assert.deepEqual(heard.ids, [anns.blocks[0]!.id]);
    assert.ok(isLowtideError(heard.error, 'order-ended'));
    await kit.simulation.settle();
    assert.equal(listener.stops[0]?.code, 'center-window');
    kit.collector.setConditions({ windows: 'any', zone: 'UTC', streams: 1 });
    await kit.pass(SECOND_MS);
    assert.equal(listener.sends.length, 2);
  });

  it('end what is being sent on the minute, although nobody calls', async () => {
    const kit = await CollectKit.make({ conditions: { windows: '12:00-12:01' } });
    const ann = await kit.client('ann');
    const listener = ann.listen();
    await ann.offer(await ann.snapshot());
    const { until } = await listener.order();
    assert.equal(until, kit.simulation.start + MINUTE_MS);
    await kit.simulation.run({ until: until - 1 });
    assert.equal(listener.stops.length, 0);
    await kit.simulation.run({ until });
    assert.equal(listener.stops[0]?.code, 'center-window');
  });

  it('P3: end what was offered at the last moment on the minute too, however long the loop has slept', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    await kit.pass(17 * SECOND_MS);
    const listener = ann.listen();
    for (const delay of [10 * MINUTE_MS + 40 * SECOND_MS, 5 * MINUTE_MS + 7 * SECOND_MS]) {
      await kit.pass(delay);
      const end = Math.ceil((kit.simulation.now + 1) / MINUTE_MS) * MINUTE_MS;
      const until = new Date(end).toISOString().slice(11, 16);
      await ann.offer(await ann.snapshot({ sequence: delay }), { transfer: `12:00-${until}` });
      const { order } = await listener.order();
      await kit.simulation.run({ until: end });
      assert.deepEqual(listener.stops.at(-1), { kind: 'stop', order, code: 'client-window' });
    }
  });

  it('that cannot be read change nothing', async () => {
    const kit = await CollectKit.make();
    assert.throws(
      () => kit.collector.setConditions({ windows: 'sometimes', zone: 'UTC', streams: 1 }),
      (error) => isLowtideError(error, 'bad-schedule'),
    );
    assert.equal(kit.collector.conditions.windows, 'any');
  });
});

describe('a clean stop', () => {
  it('amid a transfer acknowledges what came, ends the order, and the next start goes on', async () => {
    const { kit, ann, ben, anns, waiting, order } = await twoAndOneStream();
    const stream = new HandStream();
    const heard = new Acknowledged(ann.api.blocks(order, stream));
    stream.push(anns.blocks[0]!, anns.blocks[1]!);
    await kit.pass(SECOND_MS);
    await kit.restart();
    assert.deepEqual(heard.ids, [anns.blocks[0]!.id, anns.blocks[1]!.id]);
    assert.ok(isLowtideError(heard.error, 'order-ended'));
    assert.deepEqual(waiting.sends, [], 'nobody else was ordered to send on the way out');
    const lines = (await historyOf(kit.ledger.db, anns.id)).map(({ what, code }) => `${what} ${code}`);
    assert.deepEqual(lines, ['offered ', 'ordered ', 'paused stopped']);
    const again = ann.listen();
    const next = await again.order();
    assert.deepEqual(
      await ann.api.missing(
        next.order,
        anns.blocks.map(({ id }) => id),
      ),
      anns.blocks.slice(2).map(({ id }) => id),
    );
    assert.equal(kit.collector.planning.reasonFor((await ben.snapshot()).id)?.code, 'client-offline');
  });

  it('does not wait for ever for a client that reads no acknowledgement', async () => {
    const { kit, ann, anns, order } = await twoAndOneStream();
    const stream = ann.api.blocks(order, hanging(...anns.blocks));
    const iterator = stream[Symbol.asyncIterator]();
    void iterator.next();
    await kit.pass(SECOND_MS);
    const before = kit.simulation.now;
    await kit.stop();
    assert.ok(kit.simulation.now - before <= 30 * SECOND_MS);
  });
});

describe('P3: the planner', () => {
  it('is told of events one after another, so that no stop comes before its start (S43)', async () => {
    // One window ends in the very instant in which a stop makes room for another order.
    const kit = await CollectKit.make({ conditions: { streams: 1 } });
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const listeners = [ann.listen(), ben.listen()];
    await ann.offer(await ann.snapshot(), { transfer: '12:00-12:30' });
    await ben.offer(await ben.snapshot(), { transfer: '12:00-12:30' });
    await kit.pass(2 * HOUR_MS);
    const sent = listeners.flatMap(({ sends }) => sends).length;
    const stopped = listeners.flatMap(({ stops }) => stops).length;
    assert.equal(sent, stopped, 'every order was ended');
    assert.ok(listeners.every(({ stops }) => stops.length > 0));
  });
});

async function* hanging<T>(...items: readonly T[]): AsyncGenerator<T> {
  yield* items;
  await new Promise(() => {});
}
