import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CollectKit, HandStream, type TestClient } from '../../test/support/collect-kit.ts';
import { addHabits, habitsOf } from '../ledger/habits.ts';
import type { Wishes } from '../model/exchange.ts';
import { HOUR_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import type { Conditions, RateConditions } from './parts.ts';

const CLOSED: Conditions = { windows: 'any', zone: 'UTC', streams: 0 };
const rates = (more: Partial<RateConditions>): RateConditions => ({
  total: 'unlimited',
  perClient: 'unlimited',
  restoreShare: 0,
  lines: [],
  lineOf: () => null,
  individual: [],
  rateOf: () => null,
  ...more,
});

interface Wait {
  /** When the copy was taken that the center has. */
  readonly taken: UnixMillis;
  readonly wishes?: Partial<Wishes>;
}

/** Two computers of which the center has a copy wait with another one; answers whose turn comes first. */
async function firstOf(waits: readonly Wait[], conditions: Partial<Conditions> = {}): Promise<number> {
  const kit = await CollectKit.make();
  const clients: TestClient[] = [];
  for (const [at, { taken }] of waits.entries()) {
    const client = await kit.client(`c${at}`);
    clients.push(client);
    await client.bring(await client.snapshot({ manifest: { takenAt: taken } }));
  }
  kit.collector.setConditions({ ...CLOSED, ...conditions });
  const listeners = [];
  for (const [at, client] of clients.entries()) {
    listeners.push(client.listen());
    const next = await client.snapshot({ sequence: 2, data: [`more ${at}`] });
    await client.offer(next, waits[at]!.wishes);
  }
  kit.collector.setConditions({ ...CLOSED, ...conditions, streams: 1 });
  await kit.pass(SECOND_MS);
  const sends = listeners.map((listener) => listener.sends.length);
  assert.equal(sends[0]! + sends[1]!, 1, 'there is one stream');
  return sends.indexOf(1);
}

const START = Date.UTC(2026, 2, 2, 12);
const ago = (hours: number): UnixMillis => START - hours * HOUR_MS;

describe('S69: how old a copy may get', () => {
  it('is counted from the newest one that the center has: who is nearest to its target comes first', async () => {
    const targets = { usual: 24 * HOUR_MS, of: () => null };
    const old = { taken: ago(20) };
    const young = { taken: ago(2) };
    assert.equal(await firstOf([old, young], { targets }), 0);
    assert.equal(await firstOf([young, old], { targets }), 1);
  });

  it('is what the operator says of a computer, else its owner wishes, else the operator says of all', async () => {
    const wish = (hours: number): Wait => ({ taken: ago(6), wishes: { target: hours * HOUR_MS } });
    const of = ({ name }: { readonly name: string }): number | null => (name === 'c1' ? 7 * HOUR_MS : null);
    assert.equal(await firstOf([wish(12), wish(36)]), 0);
    assert.equal(await firstOf([wish(36), wish(12)]), 1);
    assert.equal(await firstOf([wish(12), wish(36)], { targets: { usual: null, of } }), 1);
    const usual = { usual: 8 * HOUR_MS, of: () => null };
    assert.equal(await firstOf([wish(12), { taken: ago(6) }], { targets: usual }), 1);
  });

  it('S36: a taken-at that cannot be was told by a wrong clock: the arrival counts', async () => {
    const targets = { usual: 24 * HOUR_MS, of: () => null };
    const ahead = { taken: START + 400 * 24 * HOUR_MS };
    const behind = { taken: 0 };
    assert.equal(await firstOf([ahead, { taken: ago(2) }], { targets }), 1);
    assert.equal(await firstOf([behind, { taken: ago(2) }], { targets }), 1);
  });
});

describe('S68: how fast a computer can send', () => {
  it('is kept in the ledger, and known to the planner after a start', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const at = kit.world.clock.now();
    const transfers = [1, 2, 3].map((day) => ({
      endedAt: at - day * 24 * HOUR_MS,
      bytes: 2e6,
      ms: 20_000,
      granted: null,
    }));
    await kit.ledger.transaction((db) => addHabits(db, ann.id, { transfers }));
    await kit.restart();
    ann.listen();
    kit.collector.setConditions({ ...CLOSED, windows: '13:00-20:00', streams: 1 });
    const snapshot = await ann.snapshot();
    await ann.offer(snapshot, { bytes: 60_000_000 });
    const [offer] = kit.collector.planning.forecast({}).offers;
    const minutes = (offer!.end!.likely - offer!.start!.likely) / 60_000;
    assert.ok(minutes > 9.9 && minutes < 10.2, `60 MB at 100 kB/s take 10 min, not ${minutes}`);
  });

  it('is learnt from what came by an order, from its first call to its last block', async () => {
    const kit = await CollectKit.make({ conditions: { rates: rates({ perClient: '300 kB/s' }) } });
    const ann = await kit.client('ann');
    const data = Array.from({ length: 750 }, (_, at) => `block ${at}`);
    const snapshot = await ann.snapshot({ data });
    const listener = ann.listen();
    await ann.offer(snapshot);
    const { order } = await listener.order();
    const stream = new HandStream();
    const sent = Array.fromAsync(ann.api.blocks(order, stream));
    for (const [at, block] of snapshot.blocks.entries()) {
      stream.push(block);
      if (at % 75 === 74) await kit.pass(SECOND_MS);
    }
    stream.end();
    await kit.simulation.finish(sent);
    await ann.api.commit(order);
    await kit.pass(SECOND_MS);
    const { transfers } = await habitsOf(kit.ledger.db, ann.id);
    assert.equal(transfers.length, 1);
    const [{ bytes, ms, granted }] = transfers as [(typeof transfers)[0]];
    assert.equal(bytes, snapshot.bytes);
    assert.equal(granted, 300_000);
    const seconds = Math.floor(snapshot.blocks.length / 75);
    assert.ok(Math.abs(ms / SECOND_MS - seconds) <= 1, `it took ${seconds} s, not ${ms} ms`);
  });

  it('S67: how long it was connected is kept too', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const listener = ann.listen();
    await kit.pass(3 * HOUR_MS);
    listener.hangUp();
    await kit.pass(SECOND_MS);
    const { stays } = await habitsOf(kit.ledger.db, ann.id);
    assert.deepEqual(
      stays.map(({ from, until }) => until - from),
      [3 * HOUR_MS],
    );
  });
});

it('S64: a computer that the operator names has a rate of its own, at once', async () => {
  const kit = await CollectKit.make();
  const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
  const own = rates({
    perClient: '50 kB/s',
    individual: [{ rate: '20 kB/s' }],
    rateOf: ({ name }) => (name === 'ann' ? '20 kB/s' : null),
  });
  kit.collector.setConditions({ ...CLOSED, streams: 2, rates: own });
  const granted: (number | null)[] = [];
  for (const client of [ann, ben]) {
    const listener = client.listen();
    await client.offer(await client.snapshot());
    granted.push((await listener.order()).rate);
  }
  assert.deepEqual(granted, [20_000, 50_000]);
});
