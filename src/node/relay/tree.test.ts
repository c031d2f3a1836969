import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NEVER } from '../../../test/support/fleet-kit.ts';
import { pullInto } from '../../../test/support/pull-kit.ts';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import { copiesOf, releaseCenter } from '../../ledger/copies.ts';
import { historyOf } from '../../ledger/history.ts';
import type { SealedBlock } from '../../format/block.ts';
import { errorRegistry, isLowtideError } from '../../model/errors.ts';
import type { CopyRecord } from '../../model/exchange.ts';
import type { BlockId, SnapshotId } from '../../model/ids.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { NodeMachine } from '../../sim/joining.ts';
import type { CenterMachine, RelayMachine } from '../../sim/machines.ts';

/** The relay goes on with other ways up than before, as after `relay join` or `relay leave`. */
async function lead(kit: RelayKit, relay: RelayMachine, upstreams: readonly NodeMachine[]): Promise<void> {
  await relay.shutDown();
  relay.options = { ...relay.options, upstreams };
  const centers = [...new Set(upstreams.flatMap((node) => node.centers))];
  Object.assign(relay, { centers });
  await kit.finish(relay.enroll());
  await kit.boot(relay);
}

/** `safe`, `behind base-unknown`, as a relay knows it of a center. */
async function stateAt(
  kit: RelayKit,
  relay: RelayMachine,
  id: SnapshotId,
  center: CenterMachine,
): Promise<string | undefined> {
  const copies = await kit.finish(copiesOf(relay.running!.ledger.db, id));
  const copy = copies.find((each) => each.center === center.face.id);
  return copy && `${copy.phase} ${copy.code}`.trimEnd();
}

/** ann's first backup is in tokyo; osaka leads to sapporo, too, since; the second leans on what is not there. */
async function laterCenter() {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  const ann = await kit.agent('ann', [osaka]);
  await kit.take(ann);
  await kit.pass(HOUR_MS);
  const sapporo = await kit.center('sapporo');
  await lead(kit, osaka, [tokyo, sapporo]);
  kit.write(ann, 'b', 31_000);
  const leaning = await kit.take(ann);
  await kit.pass(HOUR_MS);
  assert.equal(await stateAt(kit, osaka, leaning, tokyo), 'safe');
  assert.equal(await stateAt(kit, osaka, leaning, sapporo), 'behind base-unknown');
  return { kit, tokyo, sapporo, osaka, ann, leaning };
}

describe('a center that is added at a branch later', () => {
  it('is behind until something without base comes, has everything that is taken then, and closes what came before', async () => {
    const { kit, tokyo, sapporo, osaka, ann, leaning } = await laterCenter();
    assert.ok((await kit.custody(osaka)) > 0, 'it is kept for the new one');
    // The machine hears of the new center by a token.
    await kit.rejoin(ann, [osaka]);
    kit.write(ann, 'b', 32_000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), [
      'home#1 tokyo: safe',
      'home#2 tokyo: safe',
      'home#3 sapporo: safe',
      'home#3 tokyo: safe',
    ]);
    assert.equal(await stateAt(kit, osaka, leaning, sapporo), 'behind base-unknown');
    assert.ok((await kit.custody(osaka)) > 0, 'what leans on something else is kept still');
    await kit.restart(ann);
    await kit.pass(HOUR_MS);
    assert.equal(await stateAt(kit, osaka, leaning, sapporo), 'void voided', 'by the word of its owner');
    assert.equal(await stateAt(kit, osaka, leaning, tokyo), 'safe');
    assert.equal(await kit.custody(osaka), 0);
    assert.deepEqual(await kit.states(ann), [
      'home#1 tokyo: safe',
      'home#2 sapporo: void voided',
      'home#2 tokyo: safe',
      'home#3 sapporo: safe',
      'home#3 tokyo: safe',
    ]);
    assert.deepEqual([...kit.alarmCodes('osaka'), ...kit.alarmCodes('ann')], []);
  });

  it('has what came before closed through the relays between, too', async () => {
    const kit = new RelayKit();
    const [tokyo, sapporo] = [await kit.center('tokyo'), await kit.center('sapporo')];
    const osaka = await kit.relay('osaka', [tokyo]);
    const kobe = await kit.relay('kobe', [osaka]);
    const ann = await kit.agent('ann', [kobe]);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    await lead(kit, osaka, [tokyo, sapporo]);
    kit.write(ann, 'b', 31_000);
    const leaning = await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.equal(await stateAt(kit, osaka, leaning, sapporo), 'behind base-unknown');
    assert.equal(await stateAt(kit, kobe, leaning, sapporo), undefined);
    await lead(kit, kobe, [osaka]);
    await kit.rejoin(ann, [kobe]);
    kit.write(ann, 'b', 32_000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.ok((await kit.custody(osaka)) > 0);
    // Its sessions begin anew: its own with osaka, and ann's with it.
    await kit.restart(kobe);
    await kit.pass(HOUR_MS);
    assert.equal(await stateAt(kit, kobe, leaning, sapporo), 'void voided');
    assert.equal(await stateAt(kit, osaka, leaning, sapporo), 'void voided');
    assert.equal(await stateAt(kit, osaka, leaning, tokyo), 'safe');
    assert.equal(await kit.custody(osaka), 0);
    assert.deepEqual(
      ['osaka', 'kobe', 'ann'].flatMap((name) => kit.alarmCodes(name)),
      [],
    );
  });

  it('gets what came before by a pull, and then nothing is behind and nothing kept', async () => {
    const { kit, tokyo, sapporo, osaka, ann, leaning } = await laterCenter();
    const pull = await pullInto(kit.fleet, sapporo, [tokyo]);
    await kit.finish(pull.run(NEVER));
    await kit.pass(HOUR_MS);
    assert.equal(await stateAt(kit, osaka, leaning, sapporo), 'safe');
    assert.equal(await kit.custody(osaka), 0);
    kit.write(ann, 'b', 32_000);
    const next = await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.equal(await stateAt(kit, osaka, next, sapporo), 'safe');
    assert.equal(await kit.custody(osaka), 0);
  });
});

it('P1: a relay that says that it keeps what it does not has that closed there only, and nothing else', async () => {
  const kit = new RelayKit();
  const [tokyo, sapporo] = [await kit.center('tokyo'), await kit.center('sapporo')];
  const osaka = await kit.relay('osaka', [tokyo]);
  const lies: CopyRecord[] = [];
  const lying = (api: CenterApi): CenterApi => ({
    ...api,
    copies: async (query) => {
      const page = await api.copies(query);
      const asked = lies.filter(({ snapshot }) => query.snapshots?.includes(snapshot));
      return { ...page, rows: [...page.rows, ...asked] };
    },
  });
  const ann = await kit.agent('ann', [osaka], lying);
  const first = await kit.take(ann);
  await kit.pass(HOUR_MS);
  const before = ann.node.files.tree('/home');
  await lead(kit, osaka, [tokyo, sapporo]);
  await kit.rejoin(ann, [osaka]);
  kit.write(ann, 'b', 31_000);
  await kit.take(ann);
  await kit.pass(HOUR_MS);
  const [row] = (
    await kit.finish(osaka.running!.apiFor(ann.identity.client, null).copies({ snapshots: [first] }))
  ).rows;
  lies.push({ ...row!, center: sapporo.face.id, phase: 'behind', code: 'base-unknown', receipt: null });
  await kit.restart(ann);
  await kit.pass(HOUR_MS);
  assert.deepEqual(await kit.states(ann), [
    'home#1 sapporo: void voided',
    'home#1 tokyo: safe',
    'home#2 sapporo: safe',
    'home#2 tokyo: safe',
  ]);
  const report = await kit.restore(ann, first, '/back');
  assert.ok(report.complete);
  assert.deepEqual(ann.node.files.tree('/back/home'), before);
  assert.deepEqual(kit.alarmCodes('ann'), []);
});

describe('a center that is owed and that no route reaches', () => {
  it('is told of at once, and the snapshot stays in the spool with that for a reason', async () => {
    const kit = new RelayKit();
    const [tokyo, sapporo] = [await kit.center('tokyo'), await kit.center('sapporo')];
    const osaka = await kit.relay('osaka', [tokyo, sapporo]);
    const ann = await kit.agent('ann', [osaka]);
    await lead(kit, osaka, [tokyo]);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 sapporo: stuck no-route', 'home#1 tokyo: safe']);
    assert.deepEqual(kit.alarmCodes('ann'), ['no-route']);
    assert.ok((await kit.spooled(ann)) > 80_000);
    await lead(kit, osaka, [tokyo, sapporo]);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 sapporo: safe', 'home#1 tokyo: safe']);
    assert.equal(await kit.spooled(ann), 0);
  });
});

it('a relay that leads nowhere takes custody, and every status below says that no way leads on; it goes on as soon as one does', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  const kobe = await kit.relay('kobe', [osaka]);
  const ann = await kit.agent('ann', [kobe]);
  await kit.pass(MINUTE_MS);
  await lead(kit, osaka, []);
  await kit.take(ann);
  await kit.pass(5 * MINUTE_MS);
  assert.deepEqual(await kit.states(ann), ['home#1 tokyo: stuck no-route']);
  assert.deepEqual(kit.alarmCodes('ann'), ['no-route']);
  await lead(kit, osaka, [tokyo]);
  await kit.pass(5 * MINUTE_MS);
  assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
  assert.equal(await kit.spooled(ann), 0);
});

describe('P1: one center of two that is gone for good', () => {
  it('is taken off what is owed by the operators of relay and machine, on record; then both let go', async () => {
    const kit = new RelayKit();
    const [tokyo, sapporo] = [await kit.center('tokyo'), await kit.center('sapporo')];
    const osaka = await kit.relay('osaka', [tokyo, sapporo]);
    const ann = await kit.agent('ann', [osaka]);
    sapporo.crash();
    const id = await kit.take(ann);
    await kit.pass(DAY_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 sapporo: held', 'home#1 tokyo: safe']);
    const now = kit.simulation.now;
    const { ledger } = osaka.running!;
    await kit.finish(releaseCenter(ledger, sapporo.face.id, now, osaka.face.id));
    await lead(kit, osaka, [tokyo]);
    await kit.pass(HOUR_MS);
    assert.equal(await kit.custody(osaka), 0, 'the relay lets go');
    assert.ok((await kit.spooled(ann)) > 80_000, 'for its owner it is owed still');
    const owed = await kit.finish(copiesOf(ann.running!.parts.ledger.db, id));
    assert.deepEqual(owed.map(({ phase, code }) => `${phase} ${code}`.trimEnd()).sort(), [
      'safe',
      'waiting no-route',
    ]);
    assert.deepEqual(kit.alarmCodes('ann'), ['no-route']);
    await kit.finish(releaseCenter(ann.running!.parts.ledger, sapporo.face.id, now, null));
    await kit.restart(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 sapporo: void released', 'home#1 tokyo: safe']);
    assert.equal(await kit.spooled(ann), 0);
    for (const { db } of [osaka.running!.ledger, ann.running!.parts.ledger]) {
      const history = await kit.finish(historyOf(db, id));
      const acts = history.filter(({ what }) => what === 'released');
      assert.deepEqual(
        acts.map(({ center, at }) => [center, at]),
        [[sapporo.face.id, now]],
      );
    }
  });
});

describe('a relay whose store is full', () => {
  it('refuses with store-full before it reads anything, and gives no custody', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: 'never' });
    const osaka = await kit.relay('osaka', [tokyo], { storeBytes: 60_000 });
    const ann = await kit.agent('ann', [osaka]);
    await kit.take(ann);
    await kit.pass(10 * MINUTE_MS);
    kit.fleet.network.cut('ann', 'osaka');
    kit.write(ann, 'c', 50_000);
    const id = await kit.take(ann);
    const { depot, identity } = ann.running!.parts;
    const signed = await kit.finish(depot.manifest(id));
    const keyring = await kit.finish(depot.keyring(identity.client, signed.manifest.keyring));
    // As ann would, with nothing between.
    const api = osaka.running!.apiFor(identity.client, null);
    let asked = 0;
    async function* blocks(): AsyncGenerator<SealedBlock> {
      asked++;
      yield { id: 'ab'.repeat(32) as BlockId, bytes: new Uint8Array(100) };
    }
    const send = async (): Promise<void> => {
      await api.offer(signed.bytes, keyring.bytes, {
        transfer: 'any',
        zone: 'UTC',
        centers: [tokyo.face.id],
        freeAfter: 'custody',
        bytes: 50_000,
        blocks: 2,
      });
      for await (const order of api.orders(new AbortController().signal)) {
        if (order.kind !== 'send') continue;
        for await (const _ of api.blocks(order.order, blocks())) assert.fail('nothing is acknowledged');
      }
    };
    await kit.finish(assert.rejects(send(), (error) => isLowtideError(error, 'store-full')));
    assert.equal(asked, 0);
    const { db } = osaka.running!.ledger;
    const own = (await kit.finish(copiesOf(db, id))).find(({ center }) => center === osaka.face.id);
    assert.deepEqual([own?.phase, own?.receipt], ['waiting', null]);
    assert.deepEqual(kit.alarmCodes('osaka'), ['store-full']);
    assert.equal(errorRegistry['store-full'].status, 507);
  });
});

describe('relays that are above each other', () => {
  it('find out when they meet, say so, and send nothing in a circle', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const a = await kit.relay('a', [tokyo]);
    const b = await kit.relay('b', [a]);
    const c = await kit.relay('c', [b]);
    const ann = await kit.agent('ann', [c]);
    await kit.pass(10 * MINUTE_MS);
    await lead(kit, a, [tokyo, c]);
    await kit.pass(10 * MINUTE_MS);
    assert.ok(kit.alarmCodes('a').includes('joined-in-circle'), kit.alarmCodes('a').join());
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    assert.deepEqual(await kit.hops(ann, id), ['c', 'b', 'a', 'tokyo']);
    for (const relay of [a, b, c]) await kit.restart(relay);
    kit.write(ann, 'b', 31_000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: safe']);
    for (const { name } of [b, c]) assert.ok(!kit.alarmCodes(name).includes('joined-in-circle'), name);
  });
});
