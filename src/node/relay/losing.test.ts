import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jobOf } from '../../../test/support/fleet-kit.ts';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../model/time.ts';

const NEVER_SENDS = { transfer: { windows: 'never', zone: 'UTC' } };

/** How often a center has committed a snapshot. */
const commits = (kit: RelayKit, center: string, id: SnapshotId): number =>
  kit.simulation.recorder.events('committed', center).filter(({ snapshot }) => snapshot === id).length;

describe('P1: a relay that is lost for ever', () => {
  it('has what it had in custody offered again from the spool by another way', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo], NEVER_SENDS);
    const kobe = await kit.relay('kobe', [tokyo]);
    const ann = await kit.agent('ann', [osaka]);
    const id = await kit.take(ann);
    await kit.pass(MINUTE_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: held']);
    osaka.crash();
    await kit.rejoin(ann, [kobe]);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    assert.equal(commits(kit, 'tokyo', id), 1);
    assert.equal(await kit.spooled(ann), 0);
  });

  it('leaves a loss that is named where custody was enough, and the next backup is complete', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo]);
    const kobe = await kit.relay('kobe', [tokyo]);
    const ann = await kit.agent('ann', [osaka]);
    ann.jobs = [jobOf({ freeAfter: 'custody' })];
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    kit.fleet.network.part('osaka', 'tokyo');
    kit.write(ann, 'new', 20_000);
    const lost = await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.equal(await kit.spooled(ann), 0, "freed on the relay's word");
    osaka.crash();
    await kit.rejoin(ann, [kobe]);
    await kit.pass(MINUTE_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: stuck custody-lost']);
    const [alarm] = kit.simulation.recorder
      .events('alarm', 'ann')
      .filter(({ code }) => code === 'custody-lost');
    assert.match(
      alarm!.message,
      new RegExp(`has left osaka, which alone has snapshot ${lost.slice(0, 8)}.* of home`),
    );
    assert.ok(ann.running!.parts.depot.hasManifest(lost), 'what was new in it can still be listed');
    const whole = await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), [
      'home#1 tokyo: safe',
      'home#2 tokyo: void voided',
      'home#3 tokyo: safe',
    ]);
    const report = await kit.restore(ann, whole, '/back');
    assert.ok(report.complete);
    assert.deepEqual(ann.node.files.tree('/back/home'), ann.node.files.tree('/home'));
  });
});

describe('P1: what was lost with a relay', () => {
  it('does not wait again because a center still waits for what it was offered before', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: '20:00-21:00' });
    const conditions = { windows: '14:00-15:00', zone: 'UTC', streams: 1 };
    const osaka = await kit.relay('osaka', [tokyo], { conditions });
    const ann = await kit.agent('ann', [tokyo, osaka]);
    ann.jobs = [jobOf({ freeAfter: 'custody' })];
    kit.fleet.network.part('ann', 'tokyo');
    await kit.pass(MINUTE_MS);
    await kit.take(ann);
    await kit.pass(MINUTE_MS);
    kit.fleet.network.join('ann', 'tokyo');
    await kit.pass(3 * HOUR_MS);
    assert.equal(await kit.spooled(ann), 0, "freed on the relay's word");
    osaka.crash();
    await kit.rejoin(ann, [tokyo]);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: stuck custody-lost']);
    await kit.take(ann);
    await kit.pass(8 * HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: void voided', 'home#2 tokyo: safe']);
  });
});

describe('a relay whose ledger was put back', () => {
  it('has its custody taken back and is offered the snapshot again', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo]);
    const ann = await kit.agent('ann', [osaka]);
    kit.fleet.network.part('osaka', 'tokyo');
    const before = osaka.node.snapshotState();
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: held']);
    osaka.crash();
    osaka.node.restoreState(before);
    await kit.boot(osaka);
    await kit.pass(HOUR_MS);
    const custodies = kit.simulation.recorder.events('committed', 'osaka');
    assert.equal(custodies.length, 2, 'it came again');
    kit.fleet.network.join('osaka', 'tokyo');
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    assert.equal(commits(kit, 'tokyo', id), 1);
  });
});

describe('a snapshot that two ways lead to one center', () => {
  it('arrives once, and the way that it did not take forgets it', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo], {
      conditions: { windows: 'never', zone: 'UTC', streams: 1 },
    });
    const ann = await kit.agent('ann', [tokyo, osaka]);
    kit.fleet.network.part('ann', 'tokyo');
    await kit.pass(10 * MINUTE_MS);
    const id = await kit.take(ann);
    await kit.pass(10 * MINUTE_MS);
    kit.fleet.network.join('ann', 'tokyo');
    await kit.pass(2 * HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    assert.equal(commits(kit, 'tokyo', id), 1);
    assert.equal(osaka.running!.collector.planning.reasonFor(id), null, 'the relay waits for nothing');
    assert.deepEqual(kit.alarmCodes('ann'), []);
  });

  it('goes by the relay if the center is never open when its owner may send', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: '22:00-06:00' });
    const osaka = await kit.relay('osaka', [tokyo]);
    const ann = await kit.agent('ann', [tokyo, osaka]);
    ann.jobs = [jobOf({ transfer: '09:00-18:00' })];
    const id = await kit.take(ann);
    await kit.pass(DAY_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    assert.equal(commits(kit, 'osaka', id), 1);
  });
});

describe('a chain of three relays', () => {
  it('P6: hands receipts down over every hop, drains, and sends no block twice over any line', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const nara = await kit.relay('nara', [tokyo]);
    const kobe = await kit.relay('kobe', [nara]);
    const shop = await kit.relay('shop', [kobe]);
    const ann = await kit.agent('ann', [shop]);
    const first = await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    for (const relay of [nara, kobe, shop]) assert.equal(await kit.custody(relay), 0);
    const hops = await kit.hops(ann, first);
    assert.deepEqual(hops, ['shop', 'kobe', 'nara', 'tokyo']);
    const sent = ['ann', 'shop', 'kobe', 'nara'].map((name) => kit.fleet.blockBytesFrom(name));
    await kit.needEverything(ann);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: safe']);
    for (const [at, name] of ['ann', 'shop', 'kobe', 'nara'].entries()) {
      const again = kit.fleet.blockBytesFrom(name) - sent[at]!;
      assert.ok(again < sent[at]! / 5, `${name} sent ${again} bytes for what is above already`);
    }
  });
});

it('a relay whose refs of the base are damaged sends what leans on it all the same, and does not ask below for it for ever', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  const ann = await kit.agent('ann', [osaka]);
  await kit.take(ann);
  await kit.pass(HOUR_MS);
  assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
  const { disk } = osaka.node;
  for (const path of disk.paths().filter((each) => each.includes('/store/packs/')))
    for (let at = 200; at < disk.bytesOf(path).length; at += 700) disk.corrupt(path, at, 0x10);
  kit.write(ann, 'a', 61_000);
  const id = await kit.take(ann);
  await kit.pass(10 * MINUTE_MS);
  assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: safe']);
  assert.deepEqual(new Set(kit.alarmCodes('osaka')), new Set(['damaged-block']));
  const orders = kit.simulation.recorder.events('ordered', 'osaka').filter(({ snapshot }) => snapshot === id);
  assert.equal(orders.length, 1);
});

describe('one center of two that is away for a week', () => {
  it('keeps nobody from the other, until the relay is full; then everything drains', async () => {
    const kit = new RelayKit();
    const [tokyo, sapporo] = [await kit.center('tokyo'), await kit.center('sapporo')];
    const osaka = await kit.relay('osaka', [tokyo, sapporo], { storeBytes: 300_000 });
    const ann = await kit.agent('ann', [osaka]);
    sapporo.crash();
    for (let day = 0; day < 7; day++) {
      kit.write(ann, 'a', 60_000 + day);
      await kit.take(ann);
      await kit.pass(DAY_MS);
      if (day === 0) assert.deepEqual(await kit.states(ann), ['home#1 sapporo: held', 'home#1 tokyo: safe']);
    }
    assert.deepEqual(kit.alarmCodes('osaka'), ['store-full']);
    const { readings, planning } = osaka.running!.collector;
    assert.deepEqual(
      readings.filter(({ holds }) => holds).map(({ code }) => code),
      ['store-full'],
    );
    assert.deepEqual(
      planning.reasons().map(({ code }) => code),
      ['store-full', 'after-predecessor', 'after-predecessor'],
    );
    const foreseen = [...planning.forecast({}).offers.values()];
    assert.deepEqual(
      foreseen.map(({ start }) => start),
      [null, null, null],
      'nobody knows when',
    );
    const waiting = (await kit.states(ann)).filter((line) => line.includes('tokyo: waiting'));
    assert.ok(waiting.length > 0, 'the last ones stay in the spool');
    await kit.boot(sapporo);
    await kit.pass(DAY_MS);
    const open = (await kit.states(ann)).filter((line) => !line.endsWith(': safe'));
    assert.deepEqual(open, []);
    assert.equal(await kit.custody(osaka), 0);
    assert.equal(await kit.spooled(ann), 0);
  });
});

describe('a machine that moves to another relay', () => {
  it('goes on there in the middle of a transfer', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const [osaka, kobe] = [await kit.relay('osaka', [tokyo]), await kit.relay('kobe', [tokyo])];
    const ann = await kit.agent('ann', [osaka]);
    kit.fleet.network.setLine('ann', 'osaka', { bytesPerSecond: 1000 });
    const id = await kit.take(ann);
    await kit.pass(30_000);
    await kit.rejoin(ann, [kobe]);
    await kit.pass(2 * HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    assert.equal(commits(kit, 'osaka', id), 0);
    assert.equal(commits(kit, 'tokyo', id), 1);
    assert.equal(
      osaka.running!.collector.planning.reasonFor(id),
      null,
      'the relay that it left waits for nothing',
    );
  });
});

describe('a center that vanishes in the middle of a commit', () => {
  it('has committed once when it is back, and its receipt comes down', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo]);
    const ann = await kit.agent('ann', [osaka]);
    const end = kit.simulation.observe(({ node, kind, detail }) => {
      if (node !== 'tokyo' || kind !== 'network.send' || !detail.includes('commit answer')) return undefined;
      end();
      tokyo.running = null;
      kit.simulation.after(MINUTE_MS, () => tokyo.boot());
      return 'crash-before';
    });
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    assert.equal(commits(kit, 'tokyo', id), 1);
    assert.equal(await kit.custody(osaka), 0);
  });
});

describe('P1: an answer that is older than the custody that it denies', () => {
  it('takes nothing back and raises no alarm', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo], NEVER_SENDS);
    const held: (() => void)[] = [];
    const asked: string[] = [];
    const ann = await kit.agent('ann', [osaka], (api) => ({
      ...api,
      // The answer is made now and arrives when the test lets it.
      copies: async (query) => {
        const page = await api.copies(query);
        asked.push(
          ...page.rows.map(({ center, phase }) => (center === osaka.face.id ? phase : '')).filter(Boolean),
        );
        if (page.rows.length > 0 && !asked.includes('held')) await new Promise<void>((go) => held.push(go));
        return page;
      },
    }));
    ann.jobs = [jobOf({ freeAfter: 'custody' })];
    kit.fleet.network.setLine('ann', 'osaka', { bytesPerSecond: 20_000 });
    await kit.take(ann);
    await kit.pass(1000);
    const [uplink] = ann.running!.uplinks;
    const refreshed = uplink!.refresh();
    await kit.pass(HOUR_MS);
    assert.ok(held.length > 0, 'asked in the middle of the transfer');
    assert.ok(asked.every((phase) => phase === 'in-transit'));
    assert.equal(await kit.spooled(ann), 0, 'custody was enough');
    for (const go of held) go();
    await kit.finish(refreshed);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: held']);
    assert.deepEqual(kit.alarmCodes('ann'), []);
  });
});

describe('P1: what was freed on the word of a relay', () => {
  it('is not given up because a center orders it from the machine that had offered it there before', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: 'never' });
    const osaka = await kit.relay('osaka', [tokyo], NEVER_SENDS);
    const ann = await kit.agent('ann', [tokyo, osaka]);
    ann.jobs = [jobOf({ freeAfter: 'custody' })];
    await kit.pass(MINUTE_MS);
    const id = await kit.take(ann);
    await kit.pass(MINUTE_MS);
    kit.fleet.network.part('ann', 'tokyo');
    kit.fleet.network.part('osaka', 'tokyo');
    await kit.pass(HOUR_MS);
    assert.equal(await kit.spooled(ann), 0, 'osaka has it');
    tokyo.running!.collector.setConditions({ windows: 'any', zone: 'UTC', streams: 1 });
    kit.fleet.network.join('ann', 'tokyo');
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: held']);
    assert.deepEqual(kit.alarmCodes('ann'), []);
    assert.equal(await kit.finish(ann.running!.parts.depot.voidRecord(id)), null);
  });
});
