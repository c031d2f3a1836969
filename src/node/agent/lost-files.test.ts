import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DATA, jobOf } from '../../../test/support/fleet-kit.ts';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import { findSnapshot } from '../../ledger/snapshots.ts';
import { displayPath } from '../../model/paths.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../../sim/machines.ts';
import { lostSnapshots } from './lost-files.ts';

const CUSTODY = { freeAfter: 'custody' } as const;

/** `home#2 a b`: the files that each lost snapshot took with it. */
async function lost(kit: RelayKit, agent: AgentMachine): Promise<string[]> {
  const { world, depot, ledger, identity } = agent.running!.parts;
  const list = async (): Promise<string[]> => {
    const lines: string[] = [];
    for (const { row, files } of await lostSnapshots({ world, depot, ledger, keys: identity.keyring.keys })) {
      const paths: string[] = [];
      for await (const { path } of files(new AbortController().signal)) paths.push(displayPath(path));
      lines.push(`${row.job}#${row.sequence} ${paths.join(' ')}`.trimEnd());
    }
    return lines;
  };
  return await kit.finish(list());
}

/** The first backup is at tokyo; osaka cannot pass on what comes after it. */
async function stranded(): Promise<{
  kit: RelayKit;
  ann: AgentMachine;
  kobe: RelayMachine;
  osaka: RelayMachine;
  tokyo: CenterMachine;
}> {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const [osaka, kobe] = [await kit.relay('osaka', [tokyo]), await kit.relay('kobe', [tokyo])];
  const ann = await kit.agent('ann', [osaka]);
  ann.jobs = [jobOf(CUSTODY)];
  await kit.take(ann);
  await kit.pass(HOUR_MS);
  assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
  kit.fleet.network.part('osaka', 'tokyo');
  return { kit, ann, kobe, osaka, tokyo };
}

/** Somebody deletes ledger.db while the agent is off. */
async function loseLedger(kit: RelayKit, agent: AgentMachine): Promise<void> {
  await agent.shutDown();
  agent.node.disk.wipe(`${DATA}/ledger.db`);
  await kit.boot(agent);
}

const alarms = (kit: RelayKit, machine: string): string[] =>
  kit.simulation.recorder
    .events('alarm', machine)
    .filter(({ code }) => code === 'custody-lost')
    .map(({ message }) => message);

describe('P1: a relay that is lost with what it had in custody', () => {
  it('is told with the files that are nowhere else: not those that a center has, under whatever name', async () => {
    const { kit, ann, kobe, osaka } = await stranded();
    for (const name of ['new', 'one', 'two', 'three']) kit.write(ann, name, 20_000);
    kit.write(ann, 'a', 61_000);
    ann.node.files.rename('/home/b', '/home/renamed');
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    kit.write(ann, 'late', 20_000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    osaka.crash();
    await kit.rejoin(ann, [kobe]);
    await kit.pass(MINUTE_MS);
    assert.deepEqual(await lost(kit, ann), [
      'home#2 /home/a /home/new /home/one /home/three /home/two',
      'home#3 /home/a /home/late /home/new /home/one /home/three /home/two',
    ]);
    const first = alarms(kit, 'ann').find((message) => message.includes('5 files'));
    assert.match(
      first ?? '',
      /has left osaka, which alone has .*until a center has it, 5 files are lost with it \(\/home\/a, \/home\/new, \/home\/one and 2 more\)/,
    );
    assert.match(first!, /'lowtide snapshots --lost' lists them/);
  });

  it('names later only what the next backup did not find as it was, and goes on naming it for months', async () => {
    const { kit, ann, kobe, osaka, tokyo } = await stranded();
    kit.write(ann, 'gone', 20_000);
    kit.write(ann, 'kept', 20_000);
    kit.write(ann, 'a', 61_000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    osaka.crash();
    ann.node.files.remove('/home/gone');
    kit.write(ann, 'a', 62_000);
    await kit.rejoin(ann, [kobe]);
    await kit.pass(MINUTE_MS);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), [
      'home#1 tokyo: safe',
      'home#2 tokyo: void voided',
      'home#3 tokyo: safe',
    ]);
    const still = ['home#2 /home/a /home/gone'];
    assert.deepEqual(await lost(kit, ann), still);
    for (const days of [80, 20]) {
      const machines = [ann, kobe, tokyo];
      for (const machine of machines) await machine.shutDown();
      await kit.pass(days * DAY_MS);
      for (const machine of machines) await kit.boot(machine);
      await kit.pass(HOUR_MS);
      kit.write(ann, 'other', 1000 + days);
      await kit.take(ann);
      await kit.pass(HOUR_MS);
      assert.deepEqual(await lost(kit, ann), days === 80 ? still : [], 'and then its trees are let go');
    }
  });

  it('is told still by a ledger that was made anew, until its time is over', async () => {
    const { kit, ann, kobe, osaka, tokyo } = await stranded();
    kit.write(ann, 'gone', 20_000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    osaka.crash();
    ann.node.files.remove('/home/gone');
    await kit.rejoin(ann, [kobe]);
    await kit.pass(MINUTE_MS);
    const told = ['home#2 /home/gone'];
    assert.deepEqual(await lost(kit, ann), told);
    await loseLedger(kit, ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: stuck custody-lost']);
    assert.deepEqual(await lost(kit, ann), told);
    const whole = await kit.take(ann);
    const row = await kit.finish(findSnapshot(ann.running!.parts.ledger.db, whole));
    assert.equal(row!.base, null, 'nothing leans on what is lost');
    await kit.pass(HOUR_MS);
    await loseLedger(kit, ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await lost(kit, ann), told, 'after the next backup too');
    assert.equal(alarms(kit, 'ann').length, 1, 'it is no news');
    for (const machine of [ann, kobe, tokyo]) await machine.shutDown();
    await kit.pass(91 * DAY_MS);
    for (const machine of [ann, kobe, tokyo]) await kit.boot(machine);
    kit.write(ann, 'other', 1000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    await loseLedger(kit, ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await lost(kit, ann), []);
    assert.deepEqual(await kit.finish(ann.running!.parts.depot.losses()), []);
  });

  // Operations of hearing of it, from the first one that keeps it beside the ledger.
  const crashes = {
    'before it is kept': 0,
    'while it is kept': 5,
    'once it is kept': 7,
    'once it is told': 8,
  };
  for (const [when, operation] of Object.entries(crashes)) {
    it(`is told also if the machine loses power as it hears of it, ${when}`, async () => {
      const { kit, ann, kobe, osaka } = await stranded();
      kit.write(ann, 'gone', 20_000);
      await kit.take(ann);
      await kit.pass(HOUR_MS);
      osaka.crash();
      ann.node.files.remove('/home/gone');
      let seen = -1;
      const end = kit.simulation.observe(({ node, detail, changes }) => {
        if (node !== 'ann' || !changes || (seen < 0 && !detail.includes('/losses'))) return undefined;
        return ++seen === operation ? 'crash-before' : undefined;
      });
      await assert.rejects(kit.rejoin(ann, [kobe]), 'it never came up');
      end();
      await kit.boot(ann);
      await kit.pass(HOUR_MS);
      assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: stuck custody-lost']);
      assert.deepEqual(await lost(kit, ann), ['home#2 /home/gone']);
    });
  }

  it('is no loss if another center has it, or if it is back and passes it on', async () => {
    const kit = new RelayKit();
    const [tokyo, sapporo] = [await kit.center('tokyo'), await kit.center('sapporo')];
    const osaka = await kit.relay('osaka', [tokyo, sapporo]);
    const kobe = await kit.relay('kobe', [tokyo, sapporo]);
    const ann = await kit.agent('ann', [osaka]);
    ann.jobs = [jobOf(CUSTODY)];
    kit.fleet.network.part('osaka', 'sapporo');
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    await kit.rejoin(ann, [kobe]);
    await kit.pass(MINUTE_MS);
    assert.match(alarms(kit, 'ann')[0]!, /nothing is lost, because a center has it/);
    assert.deepEqual(await lost(kit, ann), []);
  });

  it('is heard of through the relay between, which had freed on its word too', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const [osaka, kobe] = [await kit.relay('osaka', [tokyo]), await kit.relay('kobe', [tokyo])];
    const shop = await kit.relay('shop', [osaka]);
    const ann = await kit.agent('ann', [shop]);
    ann.jobs = [jobOf(CUSTODY)];
    kit.fleet.network.part('osaka', 'tokyo');
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.equal(await kit.custody(shop), 0, 'passed on to osaka, which has it alone');
    osaka.crash();
    await shop.shutDown();
    Object.assign(shop.options, { upstreams: [kobe] });
    await kit.finish(shop.enroll());
    await kit.boot(shop);
    await kit.pass(HOUR_MS);
    assert.match(alarms(kit, 'ann')[0]!, /shop has lost .*2 files are lost with it \(\/home\/a, \/home\/b\)/);
    assert.deepEqual(await lost(kit, ann), ['home#1 /home/a /home/b']);
  });
});
