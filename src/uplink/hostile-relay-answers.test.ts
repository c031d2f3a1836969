import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Town } from '../../test/support/lying-town.ts';
import type { Order } from '../model/exchange.ts';
import type { OrderId, SnapshotId } from '../model/ids.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../model/time.ts';
import { findManifest } from '../node/agent/sources.ts';

describe('answers of a hostile relay', () => {
  it('that go on for ever keep nobody', async () => {
    const town = await Town.make('any');
    await town.take();
    await town.kit.pass(HOUR_MS);
    let [asked, empty] = [0, false];
    town.lie = (api) => ({
      ...api,
      hello: async (me) => ({ ...(await api.hello(me)), incarnation: `another ${asked}` }),
      copies: async (query) => {
        asked++;
        const page = await api.copies(query);
        const more = page.rows.map((row) => ({
          ...row,
          snapshot: String(asked).padStart(64, '0') as SnapshotId,
        }));
        return { rows: empty ? [] : [...page.rows, ...more], next: `and on ${asked}` };
      },
    });
    for (empty of [false, true]) {
      asked = 0;
      await town.kit.restart(town.osaka);
      await town.kit.pass(MINUTE_MS);
      assert.equal(town.ann.running!.uplinks[0]!.status.connected, true);
      assert.ok(asked > 0 && asked < 200, `${asked} questions`);
    }
  });

  it('with orders without end for what is not owed are one trouble, and nothing is sent', async () => {
    const town = await Town.make();
    let asked = 0;
    town.lie = (api) => ({
      ...api,
      missing: (...values) => {
        asked++;
        return api.missing(...values);
      },
      async *orders(stop) {
        for await (const order of api.orders(stop)) {
          yield order;
          if (order.kind === 'news') yield* invented(2000);
        }
      },
    });
    await town.kit.restart(town.osaka);
    await town.kit.pass(MINUTE_MS);
    assert.equal(asked, 0);
    assert.deepEqual(town.alarms, ['wrong-state']);
    const id = await town.take();
    await town.endsWell(id);
  });

  it("with another machine's manifest, or bytes that are none, are not taken for the one asked for", async () => {
    const town = await Town.make();
    const { kit } = town;
    const ben = await kit.agent('ben', [town.osaka]);
    const bens = await kit.take(ben);
    const theirs = (await kit.finish(ben.running!.parts.depot.manifest(bens))).bytes;
    const id = await town.take();
    await kit.pass(MINUTE_MS);
    await kit.finish(town.parts.depot.removeManifest(id));
    for (const manifest of [theirs, new Uint8Array(40)]) {
      town.lieOnCopies((row) => ({ ...row, snapshot: id, manifest }));
      const finding = findManifest(town.parts, id);
      await kit.finish(assert.rejects(finding, /another snapshot than the one asked for|manifest/));
    }
  });

  it('that vanish and come back with an older store are offered again what they had', async () => {
    const town = await Town.make();
    await town.kit.pass(MINUTE_MS);
    const old = town.osaka.node.snapshotState();
    const id = await town.take();
    await town.kit.pass(HOUR_MS);
    assert.match(await town.phase(id), /^held/);
    await town.osaka.shutDown();
    town.osaka.node.restoreState(old);
    await town.kit.boot(town.osaka);
    await town.kit.pass(HOUR_MS);
    await town.keepsAll(id);
    assert.match(await town.phase(id), /^held/, 'given again');
    await town.endsWell(id);
  });

  it('never in a day lose anything that was taken meanwhile', async () => {
    const town = await Town.make();
    town.lie = (api) => ({ ...api, commit: () => Promise.reject(new RangeError('no')) });
    const id = await town.take();
    await town.kit.pass(DAY_MS);
    await town.keepsAll(id);
    await town.endsWell(id);
  });
});

function* invented(count: number): Generator<Order> {
  for (let at = 0; at < count; at++) {
    const digits = at.toString(16).padStart(32, '0');
    const snapshot = digits.repeat(2) as SnapshotId;
    yield { kind: 'send', order: digits as OrderId, snapshot, until: null, rate: null };
  }
}
