import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CollectKit, HandStream } from '../../test/support/collect-kit.ts';
import { historyOf } from '../ledger/history.ts';
import { isLowtideError } from '../model/errors.ts';
import { SECOND_MS } from '../model/time.ts';
import type { RateConditions } from './parts.ts';

const SLOW: RateConditions = {
  total: 'unlimited',
  perClient: '1 kB/s',
  restoreShare: 0,
  lines: [],
  lineOf: () => null,
  individual: [],
  rateOf: () => null,
};

describe('a size that was announced wrongly', () => {
  for (const [what, bytes] of [
    ['much too small', 1],
    ['much too large', 10 ** 13],
  ] as const) {
    it(`and is ${what} keeps nothing from being collected, and the ledger has what came`, async () => {
      const kit = await CollectKit.make({ conditions: { streams: 1 } });
      const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
      const anns = await ann.snapshot({ data: ['a', 'b', 'c', 'd'] });
      const listener = ann.listen();
      await ann.offer(anns, { bytes });
      const { order } = await listener.order();
      await ann.send(order, anns);
      assert.equal((await ann.api.commit(order)).kind, 'receipt');
      const arrived = (await historyOf(kit.ledger.db, anns.id)).find(({ what: kind }) => kind === 'arrived');
      assert.equal(arrived?.bytes, anns.bytes);
      await ben.bring(await ben.snapshot());
      assert.equal(kit.collector.planning.outstanding, 0, 'the stream is free again');
    });
  }
});

describe('S73: a client that sends faster than it was granted', () => {
  it('is stopped, and waits also if it connects anew; what came stays', async () => {
    const kit = await CollectKit.make({ conditions: { rates: SLOW } });
    const ann = await kit.client('ann');
    const { block_bytes_max, flush_bytes } = kit.world.limits;
    const slack = 2 * block_bytes_max + flush_bytes + 12_500;
    const data = Array.from({ length: Math.ceil(slack / 1500) + 30 }, (_, at) => `block ${at}`);
    const snapshot = await ann.snapshot({ data });
    const listener = ann.listen();
    await ann.offer(snapshot);
    const { order, rate } = await listener.order();
    assert.equal(rate, 1000);
    const stream = new HandStream();
    const sent = Array.fromAsync(ann.api.blocks(order, stream)).catch((error: unknown) => error);
    stream.push(...snapshot.blocks.slice(0, -20));
    await kit.pass(10 * SECOND_MS);
    stream.push(...snapshot.blocks.slice(-20));
    stream.end();
    const outcome = await kit.simulation.finish(sent);
    assert.ok(isLowtideError(outcome, 'order-ended'));
    await kit.pass(SECOND_MS);
    assert.deepEqual(
      listener.stops.map(({ code }) => code),
      ['client-misbehaved'],
    );
    const { code } = kit.collector.planning.reasonFor(snapshot.id)!;
    assert.ok(['backing-off', 'client-misbehaved'].includes(code), code);
    const again = ann.listen();
    await kit.pass(15 * SECOND_MS);
    assert.equal(again.sends.length, 0, 'a new connection does not help');
    const next = await again.order();
    const first = snapshot.blocks.slice(0, 10).map(({ id }) => id);
    assert.deepEqual(await ann.api.missing(next.order, first), [], 'what came before counts');
  });

  it('is stopped also if each of its snapshots is a small one', async () => {
    const kit = await CollectKit.make({ conditions: { rates: SLOW } });
    const ann = await kit.client('ann');
    const bringing = async (): Promise<void> => {
      for (let job = 0; job < 120; job++) {
        const data = Array.from({ length: 5 }, (_, at) => `block ${at} of ${job}`);
        await ann.bring(await ann.snapshot({ job: `job-${job}`, data }));
      }
    };
    await assert.rejects(bringing(), (error) => isLowtideError(error, 'order-ended'));
  });
});
