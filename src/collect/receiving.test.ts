import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  Acknowledged,
  type ClientSnapshot,
  CollectKit,
  type CollectOptions,
  HandStream,
  type Listener,
  NEVER,
  streamOf,
  type TestClient,
} from '../../test/support/collect-kit.ts';
import type { SealedBlock } from '../format/block.ts';
import { historyOf } from '../ledger/history.ts';
import { findOffer } from '../ledger/offers.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { BlockId, OrderId } from '../model/ids.ts';

const ids = (list: readonly { readonly id: BlockId }[]): BlockId[] => list.map(({ id }) => id);

interface Ordered {
  readonly kit: CollectKit;
  readonly ann: TestClient;
  readonly snapshot: ClientSnapshot;
  readonly listener: Listener;
  readonly order: OrderId;
}

/** A client that has just been ordered to send. */
async function ordered(options: CollectOptions = {}, data = ['a', 'b', 'c', 'd']): Promise<Ordered> {
  const kit = await CollectKit.make(options);
  const ann = await kit.client('ann');
  const snapshot = await ann.snapshot({ data });
  const listener = ann.listen();
  await ann.offer(snapshot);
  const { order } = await listener.order();
  return { kit, ann, snapshot, listener, order };
}

describe('missing', () => {
  it('answers inside an order only, and of the own order only', async () => {
    const { kit, ann, snapshot, order } = await ordered();
    const ben = await kit.client('ben');
    const asked = ids(snapshot.blocks);
    const ended = (error: unknown): boolean => isLowtideError(error, 'order-ended');
    await assert.rejects(ben.api.missing(order, asked), ended);
    await assert.rejects(ann.api.missing('00'.repeat(16) as OrderId, asked), ended);
    assert.deepEqual(await ann.api.missing(order, asked), asked);
  });

  it('takes no more ids than a message holds', async () => {
    const { kit, ann, order } = await ordered();
    const many = Array.from(
      { length: kit.world.limits.ids_per_message + 1 },
      (_, at) => ann.block(`x${at}`).id,
    );
    await assert.rejects(ann.api.missing(order, many), (error) => isLowtideError(error, 'too-large'));
    assert.equal((await ann.api.missing(order, many.slice(1))).length, many.length - 1);
  });

  it('answers the same whether or not another client has the blocks, for its own ids and for theirs', async () => {
    const answers: unknown[] = [];
    for (const withBen of [false, true]) {
      const kit = await CollectKit.make();
      const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
      const bens = await ben.snapshot({ data: ['theirs'] });
      if (withBen) await ben.bring(bens);
      const snapshot = await ann.snapshot({ data: ['own', 'more'] });
      const listener = ann.listen();
      const [offered] = await ann.offer(snapshot);
      const { order } = await listener.order();
      const asked = [...ids(snapshot.blocks), ...ids(bens.blocks)];
      const before = await ann.api.missing(order, asked);
      await ann.send(order, snapshot);
      const after = await ann.api.missing(order, asked);
      const got = await Array.fromAsync(ann.api.fetch(snapshot.id, asked, NEVER));
      const commit = await ann.api.commit(order);
      assert.equal(commit.kind, 'receipt');
      const copies = (await ann.api.copies({})).rows.map((row) => row.snapshot);
      answers.push([offered?.phase, before, after, ids(got).toSorted(), copies]);
      assert.deepEqual(after, ids(bens.blocks));
    }
    assert.deepEqual(answers[1], answers[0]);
  });
});

describe('blocks', () => {
  it('acknowledges what is durable: after a power loss it is not asked for again', async () => {
    const { kit, ann, snapshot, order } = await ordered();
    assert.deepEqual(new Set(await ann.send(order, snapshot)), new Set(ids(snapshot.blocks)));
    await kit.crash();
    const listener = ann.listen();
    const again = await listener.order();
    assert.deepEqual(await ann.api.missing(again.order, ids(snapshot.blocks)), []);
    assert.equal((await ann.api.commit(again.order)).kind, 'receipt');
  });

  it('refuses bytes that do not hash to their id, and stores nothing of them', async () => {
    const { kit, ann, snapshot, order } = await ordered();
    const [first, second] = snapshot.blocks;
    const mislabelled = { id: first!.id, bytes: second!.bytes };
    const stream = new Acknowledged(ann.api.blocks(order, streamOf([second!, mislabelled])));
    await stream.done;
    assert.ok(isLowtideError(stream.error, 'hash-mismatch'));
    assert.deepEqual(
      await kit.depot.has(null, ids(snapshot.blocks)),
      new Set([second!.id]),
      'what came before it is kept',
    );
  });

  it('takes blocks while those before them are made durable, and acknowledges these meanwhile', async () => {
    const data = Array.from({ length: 60 }, (_, at) => `${at} `.repeat(300));
    const { kit, ann, snapshot, order } = await ordered({}, data);
    let given = 0;
    let givenAtSync = 0;
    kit.node.simulation.observe(({ kind, detail }) => {
      if (kind === 'disk.sync' && detail.includes('.pack') && givenAtSync === 0) givenAtSync = given;
      return undefined;
    });
    async function* counted(): AsyncGenerator<SealedBlock> {
      for (const block of snapshot.blocks) {
        given++;
        yield block;
      }
    }
    const acknowledged: BlockId[] = [];
    let givenAtFirst = 0;
    for await (const some of ann.api.blocks(order, counted())) {
      if (givenAtFirst === 0) givenAtFirst = given;
      assert.deepEqual(await kit.depot.has(null, some), new Set(some));
      acknowledged.push(...some);
    }
    assert.deepEqual(acknowledged, ids(snapshot.blocks));
    assert.ok(
      givenAtFirst > givenAtSync && givenAtSync > 0,
      `${givenAtSync} at the sync, ${givenAtFirst} at the answer`,
    );
    assert.ok(givenAtFirst < snapshot.blocks.length, 'the first answer comes before the last block');
  });

  it("refuses a block of a key domain that is not the client's", async () => {
    const { kit, ann, order } = await ordered();
    const ben = await kit.client('ben');
    const foreign = ben.block('theirs');
    const stream = new Acknowledged(ann.api.blocks(order, streamOf([foreign])));
    await stream.done;
    assert.ok(isLowtideError(stream.error, 'forbidden'));
    assert.equal((await kit.depot.usage()).blocks, 0);
  });

  it('refuses a block that is longer than its header says', async () => {
    const { ann, snapshot, order } = await ordered();
    const [block] = snapshot.blocks;
    const longer = { id: block!.id, bytes: Buffer.concat([block!.bytes, Buffer.of(0)]) };
    const stream = new Acknowledged(ann.api.blocks(order, streamOf([longer])));
    await stream.done;
    assert.ok(isLowtideError(stream.error, 'damaged-block'));
  });

  it('keeps what came before a stream breaks, ends the order, and does not ask for it in the next', async () => {
    const { kit, ann, snapshot, listener, order } = await ordered();
    const stream = new HandStream();
    const heard = new Acknowledged(ann.api.blocks(order, stream));
    const [first, second, ...rest] = snapshot.blocks;
    stream.push(first!, second!);
    await kit.pass(1000);
    stream.fail(new LowtideError('center-unreachable', 'the line broke'));
    await heard.done;
    assert.ok(isLowtideError(heard.error, 'center-unreachable'));
    assert.deepEqual(heard.ids, [], 'nothing was acknowledged yet');
    await assert.rejects(ann.api.missing(order, []), (error) => isLowtideError(error, 'order-ended'));
    const next = await listener.order();
    assert.deepEqual(await ann.api.missing(next.order, ids(snapshot.blocks)), ids(rest));
    const history = (await historyOf(kit.ledger.db, snapshot.id)).map(({ what, code }) => `${what} ${code}`);
    assert.deepEqual(history.slice(1, 3), ['ordered ', 'failed center-unreachable']);
    const offer = await findOffer(kit.ledger.db, snapshot.id);
    assert.equal(offer?.received, first!.bytes.length + second!.bytes.length);
  });

  it('S58: the planner hears what is left while blocks come, before any of them is durable', async () => {
    const { kit, ann, snapshot, order } = await ordered({ limits: { flush_bytes: 1_000_000 } });
    const left = (): number | undefined => kit.collector.planning.copy().offers.get(snapshot.id)?.offer.bytes;
    const [first, second, ...rest] = snapshot.blocks;
    const all = left()!;
    const stream = new HandStream();
    const heard = new Acknowledged(ann.api.blocks(order, stream));
    await kit.pass(1500);
    stream.push(first!);
    await kit.pass(10);
    assert.equal(left(), all - first!.bytes.length);
    stream.push(second!);
    await kit.pass(10);
    assert.equal(left(), all - first!.bytes.length, 'not for every block, but for every second');
    assert.deepEqual(heard.ids, []);
    stream.push(...rest);
    stream.end();
    await heard.done;
    assert.equal(left(), 0);
    assert.equal(heard.ids.length, snapshot.blocks.length);
  });

  it('S47: what arrived and could not be kept has to come again, and is no progress', async () => {
    const { kit, ann, snapshot, order } = await ordered({ limits: { flush_bytes: 1_000_000 } });
    const left = (): number | undefined => kit.collector.planning.copy().offers.get(snapshot.id)?.offer.bytes;
    const all = left()!;
    kit.node.faults.inject({ kind: 'disk.write', path: '/packs/', times: Infinity, error: 'ENOSPC' });
    const stream = new HandStream();
    const heard = new Acknowledged(ann.api.blocks(order, stream));
    await kit.pass(1500);
    stream.push(snapshot.blocks[0]!);
    await kit.pass(10);
    assert.ok(left()! < all);
    stream.end();
    await heard.done;
    assert.ok(isLowtideError(heard.error, 'disk-full'));
    assert.equal(left(), all);
  });

  it('does the same when the client stops listening to the acknowledgements', async () => {
    const { kit, ann, snapshot, listener, order } = await ordered({ limits: { flush_bytes: 1000 } });
    for await (const acknowledged of ann.api.blocks(order, streamOf(snapshot.blocks))) {
      assert.equal(acknowledged.length, 1);
      break;
    }
    assert.equal((await listener.order()).snapshot, snapshot.id);
    assert.deepEqual(
      (await historyOf(kit.ledger.db, snapshot.id)).map(({ what, code }) => `${what} ${code}`),
      ['offered ', 'ordered ', 'failed interrupted', 'ordered '],
    );
  });

  it('stopped in the middle, acknowledges what came and then says that the order has ended', async () => {
    const { kit, ann, snapshot, listener, order } = await ordered({ conditions: { windows: '12:00-12:02' } });
    const stream = new HandStream();
    const heard = new Acknowledged(ann.api.blocks(order, stream));
    const [first, second, ...rest] = snapshot.blocks;
    stream.push(first!, second!);
    await kit.pass(2 * 60_000);
    await kit.simulation.settle();
    assert.ok(heard.ended, 'although the client still has blocks to send');
    assert.deepEqual(heard.ids, [first!.id, second!.id]);
    assert.ok(isLowtideError(heard.error, 'order-ended'));
    assert.deepEqual(listener.stops, [{ kind: 'stop', order, code: 'center-window' }]);
    await kit.pass(24 * 3_600_000 - 60_000);
    const { order: again } = await listener.order();
    assert.deepEqual(await ann.api.missing(again, ids(snapshot.blocks)), ids(rest));
  });

  it('says disk-full, acknowledges nothing falsely, and ends the order', async () => {
    const { kit, ann, snapshot, listener, order } = await ordered({ limits: { flush_bytes: 3000 } });
    const fault = kit.node.faults.inject({
      kind: 'disk.write',
      path: '/packs/',
      skip: 1,
      times: Infinity,
      error: 'ENOSPC',
    });
    const heard = new Acknowledged(ann.api.blocks(order, streamOf(snapshot.blocks)));
    await heard.done;
    assert.ok(isLowtideError(heard.error, 'disk-full'), String(heard.error));
    assert.ok(fault.hits > 0);
    assert.ok(heard.ids.length < snapshot.blocks.length);
    assert.deepEqual(await kit.depot.has(null, ids(snapshot.blocks)), new Set(heard.ids));
    await assert.rejects(ann.api.commit(order), (error) => isLowtideError(error, 'order-ended'));
    fault.lift();
    await kit.crash();
    assert.deepEqual(await kit.depot.has(null, ids(snapshot.blocks)), new Set(heard.ids));
    const again = ann.listen();
    const { order: next } = await again.order();
    await ann.send(next, snapshot);
    assert.equal((await ann.api.commit(next)).kind, 'receipt');
    assert.equal(listener.stops[0]?.code, 'disk-full');
  });

  it('says disk-full when the ledger has no room, and what was acknowledged is there', async () => {
    const { kit, ann, snapshot, order } = await ordered({ limits: { flush_bytes: 3000 } });
    const fault = kit.node.faults.inject({
      kind: 'database.',
      path: '/ledger.db',
      times: Infinity,
      error: 'ENOSPC',
    });
    const heard = new Acknowledged(ann.api.blocks(order, streamOf(snapshot.blocks)));
    await heard.done;
    assert.ok(isLowtideError(heard.error, 'disk-full'), String(heard.error));
    assert.deepEqual(heard.ids, []);
    fault.lift();
  });

  it('of two streams in one order, the one that breaks ends both', async () => {
    const { kit, ann, snapshot, order } = await ordered();
    const [one, other] = [new HandStream(), new HandStream()];
    const heard = [one, other].map((stream) => new Acknowledged(ann.api.blocks(order, stream)));
    one.push(snapshot.blocks[0]!);
    other.push(snapshot.blocks[1]!);
    await kit.pass(100);
    one.fail(new LowtideError('center-unreachable', 'the line broke'));
    await Promise.all(heard.map(({ done }) => done));
    assert.deepEqual(heard[1]!.ids, [snapshot.blocks[1]!.id]);
    assert.ok(isLowtideError(heard[1]!.error, 'order-ended'));
  });
});
