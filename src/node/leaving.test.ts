import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OPEN, RelayKit } from '../../test/support/relay-kit.ts';
import { signVoid } from '../format/void-record.ts';
import { copiesOf } from '../ledger/copies.ts';
import { listOffers } from '../ledger/offers.ts';
import { LowtideError } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../model/time.ts';
import type { Meddle } from '../sim/joining.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../sim/machines.ts';
import { linesOf } from './center/view.ts';

/** `by osaka`, `left`, `left with kobe`: by which ways a node believes that a machine comes. */
async function wayAt(
  kit: RelayKit,
  { running }: CenterMachine | RelayMachine,
  { name }: { readonly name: string },
): Promise<string> {
  const line = (await kit.finish(linesOf({ node: running! }))).find((each) => each.name === name)!;
  const { via, left } = line;
  if (left === null) return `by ${via.length === 0 ? 'itself' : via.toSorted().join(' and ')}`;
  return left.relay === null ? 'left' : `left with ${left.relay}`;
}

async function stateAt(
  kit: RelayKit,
  { running }: CenterMachine,
  id: SnapshotId,
): Promise<string | undefined> {
  return (await kit.finish(copiesOf(running!.ledger.db, id)))[0]?.phase;
}

/** tokyo, and below it the relays osaka and kobe, which ann has joined; what she took first is safe. */
class Town {
  readonly kit = new RelayKit();
  tokyo!: CenterMachine;
  osaka!: RelayMachine;
  kobe!: RelayMachine;
  ann!: AgentMachine;

  static async make(conditions: Partial<typeof OPEN> = {}, meddle?: Meddle): Promise<Town> {
    const town = new Town();
    const { kit } = town;
    town.tokyo = await kit.center('tokyo', conditions);
    town.osaka = await kit.relay('osaka', [town.tokyo]);
    town.kobe = await kit.relay('kobe', [town.tokyo]);
    town.ann = await kit.agent('ann', [town.osaka, town.kobe], meddle);
    await kit.take(town.ann);
    await kit.pass(HOUR_MS);
    return town;
  }

  /** By which ways ann comes, as osaka and tokyo see it. */
  async ways(): Promise<readonly string[]> {
    return [await wayAt(this.kit, this.osaka, this.ann), await wayAt(this.kit, this.tokyo, this.ann)];
  }

  /** What she takes next comes by the ways that there are, and nobody says that anything is wrong. */
  async goesOn(): Promise<void> {
    const { kit, ann, tokyo } = this;
    kit.write(ann, 'new', 5000);
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.equal(await stateAt(kit, tokyo, id), 'safe');
    const names = ['tokyo', 'osaka', 'kobe', 'ann'];
    assert.deepEqual(
      names.flatMap((name) => kit.alarmCodes(name)),
      [],
    );
  }
}

describe('a machine that leaves a relay', () => {
  it('tells it: neither it nor what is above counts it any more', async () => {
    const town = await Town.make();
    const { kit, ann, osaka } = town;
    assert.deepEqual(await town.ways(), ['by itself', 'by kobe and osaka']);
    assert.equal(await kit.leave(ann, osaka), '');
    await kit.pass(MINUTE_MS);
    assert.deepEqual(await town.ways(), ['left', 'by kobe']);
    await town.goesOn();
    for (const machine of [osaka, town.tokyo]) await kit.restart(machine);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await town.ways(), ['left', 'by kobe'], 'it is on record');
  });

  it('and cannot reach it tells the other, and the relay hears of it from above', async () => {
    const town = await Town.make();
    const { kit, ann, osaka } = town;
    kit.fleet.network.part('ann', 'osaka');
    assert.equal(await kit.leave(ann, osaka), 'center-unreachable');
    await kit.pass(MINUTE_MS);
    assert.deepEqual(await town.ways(), ['left', 'by kobe']);
    await town.goesOn();
  });

  it('while the relay is down, and that says later what was true before, is no machine of it all the same', async () => {
    const town = await Town.make();
    const { kit, ann, osaka, tokyo } = town;
    await osaka.shutDown();
    await kit.leave(ann, osaka);
    await kit.pass(MINUTE_MS);
    assert.equal(await wayAt(kit, tokyo, ann), 'by kobe');
    await kit.boot(osaka);
    await kit.pass(MINUTE_MS);
    assert.deepEqual(await town.ways(), ['left', 'by kobe']);
    await town.goesOn();
  });

  it('while the relay is amid its hello is told of to that as well', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const held = Promise.withResolvers<void>();
    let holds = false;
    const slow: Meddle = (api) => ({
      ...api,
      copies: async (query) => {
        if (holds) await held.promise;
        return await api.copies(query);
      },
    });
    const osaka = await kit.relay('osaka', [tokyo], { meddle: slow });
    const kobe = await kit.relay('kobe', [tokyo]);
    const ann = await kit.agent('ann', [osaka, kobe]);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    holds = true;
    await kit.restart(osaka);
    await kit.pass(MINUTE_MS);
    assert.equal(
      tokyo.running!.collector.book.isOnline(osaka.identity.client),
      false,
      'it asks how all stands',
    );
    kit.fleet.network.part('ann', 'osaka');
    await kit.leave(ann, osaka);
    await kit.pass(MINUTE_MS);
    assert.equal(await wayAt(kit, osaka, ann), 'by itself');
    held.resolve();
    await kit.pass(MINUTE_MS);
    assert.equal(await wayAt(kit, osaka, ann), 'left');
  });

  it('and has no other way then tells what it joins next', async () => {
    const town = await Town.make();
    const { kit, ann, osaka, kobe } = town;
    for (const relay of [kobe, osaka]) {
      kit.fleet.network.part('ann', relay.name);
      assert.equal(await kit.leave(ann, relay), 'center-unreachable');
    }
    await kit.pass(HOUR_MS);
    assert.deepEqual(await town.ways(), ['by itself', 'by kobe and osaka'], 'nobody can know');
    kit.fleet.network.join('ann', 'kobe');
    await kit.rejoin(ann, [kobe]);
    await kit.pass(MINUTE_MS);
    assert.deepEqual(await town.ways(), ['left', 'by kobe']);
    await town.goesOn();
  });

  it('P1: has what is there of it passed on, also where it is the only copy, and to a center that the relay joins later', async () => {
    const town = await Town.make();
    const { kit, ann, osaka, kobe, tokyo } = town;
    kit.fleet.network.part('osaka', 'tokyo');
    await kit.pass(HOUR_MS);
    ann.jobs = ann.jobs.map((job) => ({ ...job, freeAfter: 'custody' as const }));
    await kit.needEverything(ann);
    kit.fleet.network.part('ann', 'kobe');
    const only = await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.ok((await kit.custody(osaka)) > 0);
    assert.equal(await kit.spooled(ann), 0);
    kit.fleet.network.join('ann', 'kobe');
    await kit.leave(ann, osaka);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await town.ways(), ['left', 'by kobe'], 'kobe has told it');
    assert.equal(await stateAt(kit, tokyo, only), undefined);
    const sapporo = await kit.center('sapporo');
    const { client, instance, signingKey } = ann.running!.parts.identity;
    const elsewhere = { client, instance, snapshot: only, reason: 'test', at: 1, centers: [sapporo.face.id] };
    await kit.finish(kobe.running!.apiFor(client, null).withdraw(only, signVoid(elsewhere, signingKey), []));
    await osaka.shutDown();
    osaka.options = { ...osaka.options, upstreams: [tokyo, sapporo] };
    await kit.finish(osaka.enroll());
    await kit.boot(osaka);
    await kit.pass(HOUR_MS);
    assert.equal(await wayAt(kit, sapporo, ann), 'left', 'it is told of her, because something of her comes');
    kit.fleet.network.join('osaka', 'tokyo');
    await kit.pass(2 * HOUR_MS);
    assert.equal(await stateAt(kit, tokyo, only), 'safe');
    assert.deepEqual(
      await kit.states(ann),
      ['home#1 tokyo: safe', 'home#2 tokyo: safe'],
      'she hears it by kobe',
    );
    assert.equal(await kit.custody(osaka), 0);
    assert.deepEqual(await town.ways(), ['left', 'by kobe']);
    await kit.restore(ann, only, '/back');
    assert.deepEqual(ann.node.files.tree('/back/home'), ann.node.files.tree('/home'));
  });

  it('and gives up what is there alone: the relay hears it from above, though nothing of it ever came there', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const east = await kit.relay('east', [tokyo], { conditions: { ...OPEN, windows: 'never' } });
    const osaka = await kit.relay('osaka', [east]);
    const kobe = await kit.relay('kobe', [tokyo]);
    const ann = await kit.agent('ann', [osaka]);
    ann.jobs = ann.jobs.map((job) => ({ ...job, freeAfter: 'custody' as const }));
    await kit.take(ann);
    kit.write(ann, 'new', 5000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: held', 'home#2 tokyo: held']);
    await kit.rejoin(ann, [osaka, kobe]);
    await kit.leave(ann, osaka);
    await kit.take(ann);
    await kit.pass(DAY_MS);
    assert.deepEqual(await kit.states(ann), [
      'home#1 tokyo: void voided',
      'home#2 tokyo: void voided',
      'home#3 tokyo: safe',
    ]);
    assert.equal(await kit.custody(osaka), 0);
    assert.deepEqual(await kit.finish(listOffers(east.running!.ledger.db)), []);
  });

  it('is not waited for: what it offered there comes another way', async () => {
    const town = await Town.make();
    const { kit, ann, osaka, tokyo } = town;
    kit.fleet.network.part('ann', 'kobe');
    osaka.running!.collector.setConditions({ ...osaka.options.conditions, windows: '01:00-02:00' });
    kit.write(ann, 'new', 5000);
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    const offers = async () => await kit.finish(listOffers(osaka.running!.ledger.db));
    assert.deepEqual(
      (await offers()).map(({ snapshot }) => snapshot),
      [id],
    );
    assert.ok(osaka.running!.collector.planning.reasonFor(id) !== null);
    kit.fleet.network.join('ann', 'kobe');
    await kit.leave(ann, osaka);
    assert.deepEqual(await offers(), []);
    assert.equal(osaka.running!.collector.planning.reasonFor(id), null);
    await kit.pass(HOUR_MS);
    assert.equal(await stateAt(kit, tokyo, id), 'safe');
  });

  it('and joins it again is there again: the newest word counts', async () => {
    const town = await Town.make();
    const { kit, ann, osaka, kobe } = town;
    await kit.leave(ann, osaka);
    await kit.pass(HOUR_MS);
    await kit.rejoin(ann, [osaka, kobe]);
    await kit.pass(MINUTE_MS);
    assert.deepEqual(await town.ways(), ['by itself', 'by kobe and osaka']);
    await kit.leave(ann, kobe);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await town.ways(), ['by itself', 'by osaka']);
    await town.goesOn();
  });

  it('and comes back without joining again is told to, and keeps what it has', async () => {
    const town = await Town.make();
    const { kit, ann, osaka } = town;
    await kit.leave(ann, osaka);
    await ann.shutDown();
    Object.assign(ann.options, { centers: [osaka] });
    await kit.boot(ann);
    kit.write(ann, 'new', 5000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    const { status } = ann.running!.uplinks[0]!;
    assert.equal(status.code, 'not-enrolled');
    assert.match(status.message, /has left osaka: join it with a new token/);
    assert.ok((await kit.spooled(ann)) > 0);
  });

  it('is told by a relay to what is two tiers above; with a relay that leaves goes what is below it', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const [east, west] = [await kit.relay('east', [tokyo]), await kit.relay('west', [tokyo])];
    const [kobe, nara] = [await kit.relay('kobe', [east]), await kit.relay('nara', [west])];
    const ann = await kit.agent('ann', [kobe, nara]);
    const ben = await kit.agent('ben', [kobe]);
    for (const agent of [ann, ben]) await kit.take(agent);
    await kit.pass(HOUR_MS);
    const ways = async (of: AgentMachine): Promise<string[]> => {
      const seen: string[] = [];
      for (const node of [tokyo, east, west]) seen.push(await wayAt(kit, node, of));
      return seen;
    };
    assert.deepEqual(await ways(ann), ['by east and west', 'by kobe', 'by nara']);
    kit.fleet.network.part('ann', 'kobe');
    await kit.leave(ann, kobe);
    await kit.pass(5 * MINUTE_MS);
    assert.deepEqual(await ways(ann), ['by west', 'left', 'by nara']);
    assert.equal(await wayAt(kit, kobe, ann), 'left', 'by nara, west, tokyo and east');
    // kobe goes from east to west.
    await kobe.shutDown();
    kobe.options = { ...kobe.options, upstreams: [east, west] };
    await kit.finish(kobe.enroll());
    await kit.boot(kobe);
    await kit.pass(HOUR_MS);
    await kit.leave(kobe, east);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await ways(ben), ['by west', 'left with kobe', 'by kobe']);
    assert.deepEqual(await wayAt(kit, east, kobe), 'left');
    kit.write(ben, 'new', 5000);
    const id = await kit.take(ben);
    await kit.pass(HOUR_MS);
    assert.equal(await stateAt(kit, tokyo, id), 'safe');
    const names = ['tokyo', 'east', 'west', 'kobe', 'nara', 'ann', 'ben'];
    assert.deepEqual(
      names.flatMap((name) => kit.alarmCodes(name)),
      [],
    );
  });

  it('says so where a node is too old to know the word, and goes on', async () => {
    const old: Meddle = (api) => ({
      ...api,
      left: async () => {
        throw new LowtideError('not-found', 'there is no such path');
      },
    });
    const town = await Town.make({}, old);
    const { kit, ann, osaka } = town;
    assert.equal(await kit.leave(ann, osaka), 'not-found');
    await kit.pass(DAY_MS);
    assert.deepEqual(await town.ways(), ['by itself', 'by kobe and osaka']);
    await town.goesOn();
  });
});
