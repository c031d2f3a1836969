import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import { blocksNewIn } from '../../depot/refs-pages.ts';
import type { SealedBlock } from '../../format/block.ts';
import { findOffer } from '../../ledger/offers.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { BlockId } from '../../model/ids.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import type { AgentMachine, RelayMachine } from '../../sim/machines.ts';
import { relayUsage } from './store.ts';

/** What each of these computers brings first is about this much. */
const EACH = 95_000;
const FOUR = { windows: 'any', zone: 'UTC', streams: 4 } as const;

async function bytesOf(kit: RelayKit, relay: RelayMachine): Promise<number> {
  return (await kit.finish(relayUsage(relay.running!.parts))).bytes;
}

/** The most that its store held, looked at once a minute. */
async function mostWithin(kit: RelayKit, relay: RelayMachine, ms: number): Promise<number> {
  let most = 0;
  for (let passed = 0; passed < ms; passed += MINUTE_MS) {
    await kit.pass(MINUTE_MS);
    if (relay.running !== null) most = Math.max(most, await bytesOf(kit, relay));
  }
  return most;
}

async function slowAgents(
  kit: RelayKit,
  relay: RelayMachine,
  names: readonly string[],
): Promise<AgentMachine[]> {
  const agents: AgentMachine[] = [];
  for (const name of names) {
    const agent = await kit.agent(name, [relay]);
    kit.fleet.network.setLine(name, relay.name, { bytesPerSecond: 200 });
    agents.push(agent);
  }
  return agents;
}

async function allSafe(kit: RelayKit, agents: readonly AgentMachine[]): Promise<boolean> {
  for (const agent of agents)
    if (!(await kit.states(agent)).every((line) => line.endsWith(': safe'))) return false;
  return true;
}

describe("a relay's store", () => {
  it('holds no more than its quota, however many begin at once; what has no room waits, and all of it drains', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: '13:00-24:00' });
    const storeBytes = 3 * EACH;
    const osaka = await kit.relay('osaka', [tokyo], { storeBytes, conditions: FOUR });
    const agents = await slowAgents(kit, osaka, ['ann', 'ben', 'cho', 'dan', 'eve']);
    for (const agent of agents) await kit.take(agent);
    const most = await mostWithin(kit, osaka, HOUR_MS);
    assert.ok(most > 1.5 * EACH && most <= storeBytes, `${most} of ${storeBytes}`);
    assert.ok((await mostWithin(kit, osaka, 6 * HOUR_MS)) <= storeBytes);
    assert.ok(await allSafe(kit, agents));
    assert.equal(await kit.custody(osaka), 0);
  });

  it('that is full of transfers which began and stopped again, in other nights too, always drains', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: '00:00-02:00' });
    const storeBytes = 3 * EACH;
    const conditions = { windows: '22:00-22:04', zone: 'UTC', streams: 4 } as const;
    const osaka = await kit.relay('osaka', [tokyo], { storeBytes, conditions });
    const agents = await slowAgents(kit, osaka, ['ann', 'ben', 'cho', 'dan', 'eve']);
    for (const agent of agents) await kit.take(agent);
    let most = 0;
    let nights = 0;
    await kit.pass(10 * HOUR_MS);
    while (!(await allSafe(kit, agents))) {
      most = Math.max(most, await mostWithin(kit, osaka, 10 * MINUTE_MS));
      if (nights++ === 0) {
        assert.equal(await kit.custody(osaka), 0, 'none has ended in the first night');
        assert.ok(most > EACH / 2, `${most} came of some`);
        await kit.restart(osaka);
      }
      assert.ok(nights < 12, 'it drains');
      await kit.pass(DAY_MS - 10 * MINUTE_MS);
    }
    assert.ok(nights > 2 && most <= storeBytes, `${most} of ${storeBytes}`);
  });

  it('takes one that is larger than all of it once there is nothing else, and nothing beside it', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo], { storeBytes: EACH / 2, conditions: FOUR });
    const agents = await slowAgents(kit, osaka, ['ann', 'ben']);
    for (const agent of agents) await kit.take(agent);
    const most = await mostWithin(kit, osaka, 6 * HOUR_MS);
    assert.ok(most > EACH / 2 && most < 1.2 * EACH, `${most}`);
    assert.ok(await allSafe(kit, agents));
  });

  it('keeps the place of what has begun for a week and a day, then gives it to others', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const storeBytes = Math.round(1.5 * EACH);
    const osaka = await kit.relay('osaka', [tokyo], { storeBytes, conditions: FOUR });
    const [ann, ben] = await slowAgents(kit, osaka, ['ann', 'ben']);
    const id = await kit.take(ann!);
    await kit.pass(4 * MINUTE_MS);
    ann!.crash();
    const { db } = osaka.running!.ledger;
    const received = async (): Promise<number> => (await kit.finish(findOffer(db, id)))!.received;
    assert.ok((await received()) > 10_000, `${await received()}`);
    await kit.take(ben!);
    await kit.pass(7 * DAY_MS);
    assert.equal(await allSafe(kit, [ben!]), false, 'there is room for what ann may bring yet');
    assert.ok((await received()) > 10_000);
    assert.ok((await bytesOf(kit, osaka)) <= storeBytes);
    await kit.pass(2 * DAY_MS);
    assert.ok(await allSafe(kit, [ben!]));
    assert.equal(await received(), 0);
    await kit.boot(ann!);
    await kit.pass(HOUR_MS);
    assert.ok(await allSafe(kit, [ann!]), 'it begins anew');
  });

  it('refuses a stream that brings more than was announced, keeps what came before, and no more of it', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: 'never' });
    const osaka = await kit.relay('osaka', [tokyo]);
    const ann = await kit.agent('ann', [osaka]);
    kit.fleet.network.cut('ann', 'osaka');
    const id = await kit.take(ann);
    const { depot, identity } = ann.running!.parts;
    const signed = await kit.finish(depot.manifest(id));
    const keyring = await kit.finish(depot.keyring(identity.client, signed.manifest.keyring));
    // As ann would, with nothing between.
    const api = osaka.running!.apiFor(identity.client, null);
    const ids = await kit.finish(Array.fromAsync(blocksNewIn(depot, kit.simulation.limits, signed, null)));
    const all: BlockId[] = ids.flat().map((ref) => ref.id);
    let sent = 0;
    async function* blocks(): AsyncGenerator<SealedBlock> {
      for await (const read of depot.read(all)) {
        assert.ok('bytes' in read);
        sent += read.bytes.length;
        yield read;
      }
    }
    const announced = 20_000;
    const send = async (): Promise<void> => {
      await api.offer(signed.bytes, keyring.bytes, {
        transfer: 'any',
        zone: 'UTC',
        centers: [tokyo.face.id],
        freeAfter: 'centers',
        bytes: announced,
        blocks: 2,
      });
      for await (const order of api.orders(new AbortController().signal)) {
        if (order.kind === 'send') await Array.fromAsync(api.blocks(order.order, blocks()));
      }
    };
    await kit.finish(assert.rejects(send(), (error) => isLowtideError(error, 'too-large')));
    assert.ok(sent > announced && sent < 4 * announced, `${sent} of ${all.length} blocks were read`);
    const { received } = (await kit.finish(findOffer(osaka.running!.ledger.db, id)))!;
    assert.ok(received > 0 && received <= announced, `${received}`);
    assert.equal(osaka.running!.collector.book.all().length, 0, 'the order is over');
    kit.fleet.network.heal('ann', 'osaka');
    await kit.pass(DAY_MS);
    assert.ok((await kit.custody(osaka)) > 0, 'its client says it right, and it goes on');
  });
});
