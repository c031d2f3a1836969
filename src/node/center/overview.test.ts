import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SmallFleet } from '../../../test/support/fleet-kit.ts';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import { setRevoked } from '../../ledger/clients.ts';
import { DAY_MS, HOUR_MS } from '../../model/time.ts';
import type { CenterMachine } from '../../sim/machines.ts';
import { type CenterOverview, overviewPeople } from './overview.ts';

async function overviewAt(small: SmallFleet): Promise<CenterOverview> {
  return await small.finish(overviewOf(small.center));
}

async function overviewOf({ face, running }: CenterMachine): Promise<CenterOverview> {
  const desk = { authority: { face }, node: running!, software: 'lowtide', running: true };
  return await overviewPeople(desk).overview({});
}

const standings = ({ computers }: CenterOverview): string[] =>
  computers.flatMap(({ name, jobs }) => jobs.map(({ job, standing }) => `${name} ${job} ${standing}`));

describe('the status of a center', () => {
  it('has a computer of which nothing was offered, and then its job and what is still to come', async () => {
    const small = await SmallFleet.make({ conditions: { windows: '22:00-23:00' } });
    const joined = await overviewAt(small);
    assert.deepEqual(
      joined.computers.map(({ name, jobs }) => ({ name, jobs })),
      [{ name: 'ann', jobs: [] }],
    );
    await small.take();
    await small.pass(HOUR_MS);
    const waiting = await overviewAt(small);
    assert.deepEqual(standings(waiting), ['ann home nothing']);
    assert.equal(waiting.computers[0]!.jobs[0]!.coming.snapshots, 1);
    assert.ok(waiting.computers[0]!.jobs[0]!.coming.bytes > 0);
    await small.pass(11 * HOUR_MS);
    const [job] = (await overviewAt(small)).computers[0]!.jobs;
    assert.equal(job!.standing, 'here');
    assert.deepEqual(job!.coming, { snapshots: 0, bytes: 0 });
    assert.equal(job!.newest!.snapshot, (await small.rows()).at(-1)!.id);
  });

  it('calls a job late by its target, and old after a week without one', async () => {
    const wishes = [{ target: 36 * HOUR_MS }, {}];
    const found: string[][] = [];
    for (const wish of wishes) {
      const small = await SmallFleet.make({ job: wish });
      await small.take();
      await small.pass(DAY_MS);
      const fresh = standings(await overviewAt(small));
      await small.pass(DAY_MS);
      const second = standings(await overviewAt(small));
      await small.pass(6 * DAY_MS);
      found.push([...fresh, ...second, ...standings(await overviewAt(small))]);
    }
    assert.deepEqual(found, [
      ['ann home here', 'ann home late', 'ann home late'],
      ['ann home here', 'ann home here', 'ann home old'],
    ]);
  });

  it('does not take parts of a first backup for a backup', async () => {
    const small = await SmallFleet.make({ spoolBytes: 40_000 });
    for (const name of ['c', 'd', 'e']) small.write(name, 50_000);
    await small.take();
    const isSafe = async (): Promise<boolean> =>
      (await small.states()).some((state) => state.includes('safe'));
    while (!(await isSafe())) await small.pass(1000);
    assert.deepEqual(standings(await overviewAt(small)), ['ann home nothing'], 'only a part is here');
    await small.pass(HOUR_MS);
    assert.deepEqual(standings(await overviewAt(small)), ['ann home here']);
  });

  it('leaves out what was shut out', async () => {
    const small = await SmallFleet.make();
    const { client } = small.agent.identity;
    await small.finish(setRevoked(small.center.running!.ledger.db, client, small.simulation.now));
    assert.deepEqual((await overviewAt(small)).computers, []);
  });

  it('leaves out what has left, and tells of what a relay that left has brought', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const kobe = await kit.relay('kobe', [tokyo]);
    const [ann, ben] = [await kit.agent('ann', [tokyo]), await kit.agent('ben', [kobe])];
    for (const agent of [ann, ben]) await kit.take(agent);
    await kit.pass(HOUR_MS);
    const seen = async (): Promise<unknown[]> => {
      const { computers } = await kit.finish(overviewOf(tokyo));
      return computers.map(({ name, left }) => [name, left?.relay ?? null]);
    };
    assert.deepEqual(await seen(), [
      ['ann', null],
      ['ben', null],
    ]);
    await kit.leave(ann, tokyo);
    await kit.leave(kobe, tokyo);
    assert.deepEqual(await seen(), [['ben', 'kobe']]);
  });
});
