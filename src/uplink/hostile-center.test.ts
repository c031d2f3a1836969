import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jobOf, SmallFleet } from '../../test/support/fleet-kit.ts';
import type { CopyRecord, CopyState, Order } from '../model/exchange.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId, CenterId, OrderId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../model/time.ts';
import type { CenterApi } from '../protocol/center-api.ts';

const FOREIGN = 'fe'.repeat(32) as BlockId;

describe('P1: a center', () => {
  it('that calls a snapshot closed which its owner has not closed frees nothing', async () => {
    const lie = <T extends CopyState>(state: T): T => ({ ...state, phase: 'void', code: 'voided' });
    const small = await SmallFleet.make({
      conditions: { windows: 'never' },
      meddle: (api) => ({
        ...api,
        offer: async (...values) => (await api.offer(...values)).map(lie),
        copies: async (query) => {
          const page = await api.copies(query);
          return { ...page, rows: page.rows.map(lie) };
        },
      }),
    });
    const id = await small.take();
    await small.pass(HOUR_MS);
    for (let count = 0; count < 2; count++) {
      await small.restart(small.center);
      await small.pass(MINUTE_MS);
    }
    assert.ok((await small.spooled()) > 50_000);
    const { files, depot } = { ...small.parts, files: small.agent.node.files };
    assert.ok(files.exists('/home/a'));
    assert.ok(await small.finish(depot.hasManifest(id)));
    assert.match((await small.states()).join(), /^home#1 oslo: waiting/);
    assert.deepEqual(small.alarmCodes(), ['bad-answer']);
  });

  it('that calls a snapshot safe without a receipt frees nothing', async () => {
    const lie = (row: CopyRecord): CopyRecord => ({ ...row, phase: 'safe', receipt: null });
    const small = await SmallFleet.make({
      conditions: { windows: 'never' },
      meddle: (api) => ({
        ...api,
        copies: async (query) => {
          const page = await api.copies(query);
          return { ...page, rows: page.rows.map(lie) };
        },
      }),
    });
    await small.take();
    await small.restart(small.center);
    await small.pass(HOUR_MS);
    assert.match((await small.states()).join(), /^home#1 oslo: waiting/);
    assert.ok((await small.spooled()) > 50_000);
  });

  it('that acknowledges what it was not sent, and nothing else, gets a new order for the rest and no trust', async () => {
    let lies = 3;
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...api,
        async *blocks(order, from) {
          if (lies-- <= 0) yield* api.blocks(order, from);
          else yield [FOREIGN];
        },
      }),
    });
    await small.take();
    await small.pass(2 * HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
    assert.equal(small.simulation.recorder.events('receipted', 'ann').length, 1);
  });

  it('that misses blocks for ever gets the order given up, is told of once, and frees nothing', async () => {
    let commits = 0;
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...api,
        commit: async () => {
          commits++;
          return { kind: 'missing', missing: [] };
        },
        copies: async () => ({ rows: [], next: null }),
      }),
    });
    await small.take();
    await small.pass(6 * HOUR_MS);
    assert.ok(commits > 0 && commits <= 5 * 20, `${commits} commits`);
    assert.ok((await small.spooled()) > 50_000);
    assert.deepEqual(small.alarmCodes(), ['bad-answer']);
  });

  it('that asks for blocks of other snapshots is sent none of them', async () => {
    const wanted: BlockId[] = [];
    const sent: BlockId[] = [];
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...api,
        missing: async (order, ids) => [...(await api.missing(order, ids)), ...wanted],
        commit: async () => ({ kind: 'missing', missing: wanted }),
        blocks: (order, from) =>
          api.blocks(
            order,
            (async function* () {
              for await (const block of from) {
                sent.push(block.id);
                yield block;
              }
            })(),
          ),
      }),
    });
    small.agent.node.files.makeDirectory('/secret');
    small.agent.node.files.write('/secret/x', { seed: 'x', size: 9000 });
    const { face } = small.center;
    const elsewhere = 'ee'.repeat(16) as CenterId;
    small.agent.jobs = [
      jobOf({ centers: [face.id] }),
      jobOf({ name: 'secret', paths: ['/secret'], centers: [elsewhere] }),
    ];
    const secret = await small.take('secret');
    const { depot } = small.parts;
    const { refs } = (await small.finish(depot.manifest(secret))).manifest;
    wanted.push(refs.id);
    await small.take();
    await small.pass(HOUR_MS);
    assert.ok(!sent.includes(refs.id));
    assert.deepEqual(small.alarmCodes(), ['bad-answer']);
  });

  it('that orders what is not owed to it, or is safe already, is not obeyed', async () => {
    const extra: Order[] = [];
    const asked: OrderId[] = [];
    const declined: string[] = [];
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...withExtraOrders(api, extra, asked),
        decline: async (id, why) => void declined.push(`${id[0]} ${why}`),
      }),
    });
    const { face } = small.center;
    const elsewhere = 'ee'.repeat(16) as CenterId;
    small.agent.jobs = [
      jobOf({ centers: [face.id] }),
      jobOf({ name: 'theirs', paths: ['/home/a'], centers: [elsewhere] }),
    ];
    const own = await small.take();
    await small.pass(HOUR_MS);
    const theirs = await small.take('theirs');
    const order = (snapshot: typeof own, digit: string): Order => ({
      kind: 'send',
      order: digit.repeat(32) as OrderId,
      snapshot,
      until: null,
      rate: null,
    });
    asked.length = 0;
    extra.push(order(theirs, 'a'), order(own, 'b'), order('cd'.repeat(32) as typeof own, 'c'));
    await small.restart(small.center);
    await small.pass(HOUR_MS);
    assert.deepEqual(asked, []);
    assert.deepEqual(declined.toSorted(), ['a not-owed', 'b not-owed', 'c not-owed']);
    assert.deepEqual(small.alarmCodes(), ['wrong-state'], 'it is one trouble, however much it orders');
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
  });

  it('that repeats an order makes nobody send twice', async () => {
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...api,
        async *orders(stop) {
          for await (const order of api.orders(stop)) {
            yield order;
            if (order.kind === 'send') yield order;
          }
        },
      }),
    });
    await small.take();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
    assert.equal(small.simulation.recorder.events('sent', 'ann').length, 1);
  });

  it('that is another than was joined is told of, offered nothing, and believed in nothing', async () => {
    let offers = 0;
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...api,
        hello: async (me) => {
          const welcome = await api.hello(me);
          return { ...welcome, center: { ...welcome.center, id: 'dd'.repeat(16) as CenterId } };
        },
        offer: (...values) => {
          offers++;
          return api.offer(...values);
        },
      }),
    });
    await small.take();
    await small.pass(HOUR_MS);
    assert.equal(offers, 0);
    const [uplink] = small.agent.running!.uplinks;
    assert.deepEqual([uplink!.status.connected, uplink!.status.code], [false, 'wrong-center']);
    assert.deepEqual(small.alarmCodes(), ['wrong-center']);
    assert.ok((await small.spooled()) > 50_000);
  });

  it('that answers with copies of others, and the same page for ever, changes nothing and keeps nobody', async () => {
    const small = await SmallFleet.make({
      conditions: { windows: 'never' },
      meddle: (api) => ({
        ...api,
        copies: async (query) => {
          const page = await api.copies(query);
          const rows = page.rows.map((row) => ({ ...row, center: 'dd'.repeat(16) as CenterId }));
          return { rows: [...rows, ...rows], next: 'again' };
        },
      }),
    });
    await small.take();
    await small.restart(small.center);
    await small.pass(MINUTE_MS);
    assert.equal(small.agent.running!.uplinks[0]!.status.connected, true);
    assert.match((await small.states()).join(), /^home#1 oslo: waiting/);
  });

  it('that refuses one snapshot does not keep the others from travelling', async () => {
    let refused = '';
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...api,
        offer: async (manifest, keyring, wishes) => {
          const states = await api.offer(manifest, keyring, wishes);
          if (states[0]?.snapshot !== refused) return states;
          return await api.offer(new Uint8Array(3), keyring, wishes);
        },
      }),
    });
    small.agent.jobs = [jobOf(), jobOf({ name: 'other', paths: ['/home/b'] })];
    await small.pass(MINUTE_MS);
    small.center.crash();
    refused = await small.take();
    await small.take('other');
    small.center.boot();
    await small.pass(HOUR_MS);
    const states = await small.states();
    assert.ok(states.includes('other#1 oslo: safe'), states.join());
    assert.ok(small.alarmCodes().includes('damaged-manifest'));
  });

  it('that calls damaged what was found whole delays it, and is offered it again', async () => {
    let lies = 2;
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...api,
        offer: async (manifest, keyring, wishes) => {
          if (lies-- <= 0) return await api.offer(manifest, keyring, wishes);
          throw new LowtideError('damaged-keyring', 'the keyring is not the one that the manifest names');
        },
      }),
    });
    await small.take();
    await small.pass(10_000);
    assert.deepEqual(await small.states(), ['home#1 oslo: stuck bad-answer']);
    await small.pass(3 * HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
  });
});

/** Further orders come right after the connection. */
function withExtraOrders(api: CenterApi, extra: readonly Order[], asked: OrderId[]): CenterApi {
  return {
    ...api,
    async *orders(stop) {
      for await (const order of api.orders(stop)) {
        yield order;
        if (order.kind === 'news') yield* extra;
      }
    },
    missing: (order, ids) => {
      asked.push(order);
      return api.missing(order, ids);
    },
  };
}
