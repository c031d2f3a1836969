import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CollectKit, NEVER } from '../../test/support/collect-kit.ts';
import { oweCopy } from '../ledger/copies.ts';
import { historyOf } from '../ledger/history.ts';
import { listOffers } from '../ledger/offers.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { CopyQuery, CopyRecord, Page } from '../model/exchange.ts';
import type { CenterId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';

const refusedWith = (code: ErrorCode) => (error: unknown) => isLowtideError(error, code);

describe('copies', () => {
  it("come in pages, each once, and only the client's own", async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const own: string[] = [];
    for (let sequence = 1; sequence <= 12; sequence++) {
      const snapshot = await ann.snapshot({ sequence, data: [`a${sequence}`] });
      await ann.offer(snapshot);
      own.push(snapshot.id);
      await ben.offer(await ben.snapshot({ sequence, data: [`b${sequence}`] }));
      // As a branch would have them: a page may end between two copies of one snapshot.
      await oweCopy(kit.ledger.db, snapshot.id, 'ff'.repeat(16) as CenterId, kit.simulation.now);
    }
    const rowsFor = async (api: CenterApi, query: CopyQuery): Promise<CopyRecord[]> => {
      const rows: CopyRecord[] = [];
      let after: string | null = null;
      do {
        const page: Page<CopyRecord> = await api.copies({ ...query, ...(after !== null && { after }) });
        assert.ok(page.rows.length <= kit.world.limits.page_rows);
        rows.push(...page.rows);
        after = page.next;
      } while (after !== null);
      const names = rows.map(({ snapshot, center }) => `${snapshot} ${center}`);
      assert.equal(new Set(names).size, names.length);
      return rows;
    };
    const idsOf = (rows: readonly CopyRecord[]) => [...new Set(rows.map(({ snapshot }) => snapshot))];
    // What the center knows of others is no answer of its own.
    const anns = await rowsFor(ann.api, {});
    assert.equal(anns.length, 12);
    assert.deepEqual(idsOf(anns), own.toSorted());
    const osaka = await kit.peer('osaka');
    assert.equal((await rowsFor(osaka.api, {})).length, 36);
    const read = await rowsFor(osaka.api, { client: ann.id, manifests: true });
    assert.equal(read.length, 24);
    assert.deepEqual(idsOf(read), own.toSorted());
    assert.ok(read.every(({ manifest }) => manifest !== null));
  });

  it('of others, and fetching or withdrawing theirs, give what there is of nothing', async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const bens = await ben.snapshot();
    await ben.bring(bens);
    const nothing = await ann.api.copies({ snapshots: ['ab'.repeat(32) as typeof bens.id] });
    assert.deepEqual(await ann.api.copies({ snapshots: [bens.id], manifests: true }), nothing);
    assert.deepEqual(await ann.api.copies({ client: ben.id }), nothing);
    const asked = bens.blocks.map(({ id }) => id);
    const fetching = Array.fromAsync(ann.api.fetch(bens.id, asked, NEVER));
    await assert.rejects(fetching, refusedWith('no-such-snapshot'));
    await assert.rejects(
      ann.api.withdraw(bens.id, ann.voidRecord(bens.id), []),
      refusedWith('no-such-snapshot'),
    );
    await assert.rejects(
      ann.api.withdraw(bens.id, ben.voidRecord(bens.id), []),
      refusedWith('no-such-snapshot'),
    );
    assert.equal((await ben.api.copies({})).rows[0]?.phase, 'safe');
  });

  it('say what the planner says now, and after a restart not what was true before', async () => {
    const kit = await CollectKit.make({ conditions: { streams: 1 } });
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const [one, other] = [await ann.snapshot(), await ben.snapshot()];
    const listener = ann.listen();
    await ann.offer(one);
    const { order } = await listener.order();
    ben.listen();
    await ben.offer(other);
    const stateOf = async (client: typeof ann): Promise<string> => {
      const [row] = (await client.api.copies({})).rows;
      return `${row?.phase} ${row?.code}`;
    };
    assert.equal(await stateOf(ann), 'waiting next', 'ordered, not begun');
    await ann.api.missing(order, []);
    assert.equal(await stateOf(ann), 'in-transit running');
    assert.equal(await stateOf(ben), 'waiting next');
    await kit.crash();
    assert.equal(await stateOf(ann), 'waiting client-offline');
  });
});

describe('fetch', () => {
  it("gives the blocks of the client's own that are there, whatever else is asked for", async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot({ data: ['a', 'b'] });
    await ann.bring(snapshot);
    const asked = [...snapshot.blocks, ann.block('never stored')].map(({ id }) => id);
    const got = await Array.fromAsync(ann.api.fetch(snapshot.id, asked, NEVER));
    assert.deepEqual(got.map(({ id }) => id).toSorted(), snapshot.blocks.map(({ id }) => id).toSorted());
  });
});

describe('withdraw', () => {
  it('closes what waits, once', async () => {
    const kit = await CollectKit.make({ conditions: { windows: '22:00-23:00' } });
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    await ann.offer(snapshot);
    for (let count = 0; count < 2; count++)
      await ann.api.withdraw(snapshot.id, ann.voidRecord(snapshot.id), []);
    assert.deepEqual(await listOffers(kit.ledger.db), []);
    assert.equal(kit.collector.planning.reasonFor(snapshot.id), null);
    const history = (await historyOf(kit.ledger.db, snapshot.id)).map(({ what }) => what);
    assert.deepEqual(history, ['offered', 'voided']);
    const [state] = await ann.offer(snapshot);
    assert.equal(state?.phase, 'void', 'offering it again does not bring it back');
    assert.deepEqual(await listOffers(kit.ledger.db), []);
  });

  it('P4: changes nothing about what was receipted', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    await ann.bring(snapshot);
    await ann.api.withdraw(snapshot.id, ann.voidRecord(snapshot.id), []);
    const [copy] = (await ann.api.copies({})).rows;
    assert.equal(copy?.phase, 'safe');
    const history = (await historyOf(kit.ledger.db, snapshot.id)).map(({ what }) => what);
    assert.ok(!history.includes('voided'));
    assert.equal(kit.simulation.recorder.events('voided').length, 0);
  });

  it('stops what is being sent, with all that leans on it', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const first = await ann.snapshot({ data: ['a'] });
    const second = await ann.snapshot({ sequence: 2, base: first, data: ['a', 'b'] });
    const third = await ann.snapshot({ sequence: 3, base: second, data: ['a', 'c'] });
    const listener = ann.listen();
    for (const snapshot of [first, second, third]) await ann.offer(snapshot);
    const { order } = await listener.order();
    await ann.api.withdraw(first.id, ann.voidRecord(first.id), []);
    await kit.pass(3_600_000);
    assert.deepEqual(listener.stops, [{ kind: 'stop', order, code: 'withdrawn' }]);
    assert.equal(listener.sends.length, 1);
    const phases = new Map((await ann.api.copies({})).rows.map((row) => [row.snapshot, row.phase]));
    assert.deepEqual(
      [first, second, third].map(({ id }) => phases.get(id)),
      ['void', 'behind', 'behind'],
    );
    const fourth = await ann.snapshot({ sequence: 4, data: ['a', 'd'] });
    await ann.offer(fourth);
    assert.equal((await listener.order()).snapshot, fourth.id);
  });

  it('takes a record only if the client has signed it, for this snapshot', async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const [one, other] = [await ann.snapshot(), await ann.snapshot({ sequence: 2, data: ['c'] })];
    await ann.offer(one);
    const forged = ben.voidRecord(one.id);
    await assert.rejects(ann.api.withdraw(one.id, forged, []), refusedWith('wrong-signature'));
    await assert.rejects(ann.api.withdraw(one.id, ann.voidRecord(other.id), []), refusedWith('bad-request'));
    await assert.rejects(ann.api.withdraw(one.id, new Uint8Array(9), []), refusedWith('damaged-manifest'));
    assert.equal((await listOffers(kit.ledger.db)).length, 1);
  });
});
