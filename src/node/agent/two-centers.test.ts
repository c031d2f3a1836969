import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRestoresFrom } from '../../../test/crash/checks.ts';
import { jobOf, NEVER, SmallFleet } from '../../../test/support/fleet-kit.ts';
import { pathKeyOf } from '../../model/paths.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import { restoreSnapshot } from '../../restore/restore.ts';
import { agentSources, findManifest } from './sources.ts';

describe('P1: two centers', () => {
  it('are both sent to; what only one has stays in the spool, for days if it must', async () => {
    const small = await SmallFleet.make({
      centers: ['oslo', 'rome'],
      job: { backup: 'daily 22:00' },
    });
    const [oslo, rome] = small.centers;
    await small.pass(MINUTE_MS);
    small.fleet.network.part('ann', 'rome');
    for (let night = 0; night < 3; night++) {
      await small.pass(DAY_MS);
      small.write('a', 20_100 + night);
    }
    const states = await small.states();
    assert.deepEqual(
      states.filter((line) => line.includes('oslo')),
      ['home#1 oslo: safe', 'home#2 oslo: safe', 'home#3 oslo: safe'],
    );
    assert.ok(states.filter((line) => line.includes('rome: waiting')).length === 3, states.join());
    const rows = await small.rows();
    assert.ok(rows.every(({ pack_group }) => pack_group !== null));
    small.fleet.network.join('ann', 'rome');
    await small.pass(HOUR_MS);
    assert.ok((await small.states()).every((line) => line.endsWith('safe')));
    assert.equal(await small.spooled(), 0);
    const last = await small.take();
    await small.pass(HOUR_MS);
    for (const center of [oslo!, rome!]) await assertRestoresFrom(center, small.agent, last, '/home');
  });

  it('each keep their own hours, and what is safe at one is restored with the other gone', async () => {
    const small = await SmallFleet.make({ centers: ['oslo', 'rome'] });
    const id = await small.take();
    await small.pass(HOUR_MS);
    const { parts } = small;
    for (const [gone, there] of [small.centers, small.centers.toReversed()].map(
      (pair) => pair as [never, never],
    )) {
      const [down, up] = [gone as (typeof small.centers)[0], there as (typeof small.centers)[0]];
      down.crash();
      const report = await small.finish(
        restoreSnapshot(
          parts.world,
          {
            signed: await small.finish(findManifest(parts, id)),
            keys: parts.identity.keyring.keys,
            sources: agentSources(parts),
            target: pathKeyOf(`/without-${down.name}`),
            paths: [],
            overwrite: 'always',
            owners: 'numbers',
          },
          NEVER,
        ),
      );
      assert.ok(report.complete, `from ${up.name} alone`);
      assert.deepEqual(
        small.agent.node.files.tree(`/without-${down.name}/home`),
        small.agent.node.files.tree('/home'),
      );
      down.boot();
      await small.pass(10 * MINUTE_MS);
    }
  });

  it('of which one goes back get from the spool what it still has, and the other keeps what it has', async () => {
    const small = await SmallFleet.make({ centers: ['oslo', 'rome'] });
    const [oslo] = small.centers;
    await small.pass(MINUTE_MS);
    const old = oslo!.node.snapshotState();
    small.fleet.network.part('ann', 'rome');
    await small.take();
    await small.pass(HOUR_MS);
    assert.deepEqual((await small.states())[0], 'home#1 oslo: safe');
    await oslo!.shutDown();
    oslo!.node.restoreState(old);
    oslo!.boot();
    await small.pass(HOUR_MS);
    assert.deepEqual((await small.states())[0], 'home#1 oslo: safe', 'sent again: rome still had no copy');
    small.fleet.network.join('ann', 'rome');
    await small.pass(HOUR_MS);
    assert.equal(await small.spooled(), 0);
    await oslo!.shutDown();
    oslo!.node.restoreState(old);
    oslo!.boot();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: behind center-went-back', 'home#1 rome: safe']);
    small.write('b', 33_000);
    const next = await small.take();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), [
      'home#1 oslo: void voided',
      'home#1 rome: safe',
      'home#2 oslo: safe',
      'home#2 rome: safe',
    ]);
    for (const center of small.centers) await assertRestoresFrom(center, small.agent, next, '/home');
    assert.equal(await small.spooled(), 0);
  });

  it('may be owed different jobs', async () => {
    const small = await SmallFleet.make({ centers: ['oslo', 'rome'] });
    const [oslo, rome] = small.centers;
    small.agent.jobs = [
      jobOf({ centers: [oslo!.face.id] }),
      jobOf({ name: 'other', paths: ['/home/a'], centers: [rome!.face.id] }),
    ];
    await small.take();
    await small.take('other');
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe', 'other#1 rome: safe']);
    assert.equal(await small.spooled(), 0);
  });
});

describe('a center that is joined later', () => {
  it('is owed what is taken from then on, and its first snapshot leans on nothing', async () => {
    const small = await SmallFleet.make();
    await small.take();
    await small.pass(HOUR_MS);
    await small.agent.shutDown();
    small.centers.push(await small.fleet.addCenter('rome', { windows: 'any', zone: 'UTC', streams: 1 }));
    await small.finish(small.agent.enroll());
    small.agent.boot();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
    small.write('b', 31_000);
    const second = await small.take();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe', 'home#2 oslo: safe', 'home#2 rome: safe']);
    assert.deepEqual(small.alarmCodes(), []);
    const [, row] = await small.rows();
    assert.equal(row?.base, null);
    await assertRestoresFrom(small.centers[1]!, small.agent, second, '/home');
    small.write('b', 32_000);
    await small.take();
    assert.notEqual((await small.rows()).at(-1)?.base, null);
  });
});

describe('P6: a machine without a center', () => {
  it('keeps what it takes, and calls nothing safe', async () => {
    const small = await SmallFleet.make({ centers: [] });
    await small.take();
    await small.take();
    await small.pass(DAY_MS);
    assert.deepEqual(await small.states(), []);
    assert.ok((await small.spooled()) > 50_000);
    assert.ok((await small.rows()).every(({ pack_group }) => pack_group !== null));
  });
});
