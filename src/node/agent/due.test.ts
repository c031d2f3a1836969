import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jobOf, SmallFleet } from '../../../test/support/fleet-kit.ts';
import { updateJob } from '../../ledger/jobs.ts';
import { LowtideError } from '../../model/errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../model/time.ts';

/** When snapshots were taken and backups failed, by true time: `taken 22:00`, `failed 23:00`. */
function tried(small: SmallFleet): string[] {
  return small.simulation.recorder.records.flatMap(({ time, what, ...record }) => {
    if (what !== 'event' || !('event' in record)) return [];
    const { kind } = record.event;
    if (kind !== 'taken' && kind !== 'take-failed') return [];
    const at = new Date(time).toISOString().slice(11, 16);
    return [`${kind === 'taken' ? 'taken' : 'failed'} ${at}`];
  });
}

describe('two jobs', () => {
  it('due at once are taken one after the other, each once', async () => {
    const small = await SmallFleet.make();
    const daily = { backup: 'daily 22:00' };
    small.agent.jobs = [jobOf(daily), jobOf({ ...daily, name: 'second', paths: ['/home/a'] })];
    await small.pass(11 * HOUR_MS);
    assert.deepEqual(tried(small), ['taken 22:00', 'taken 22:00']);
    assert.deepEqual((await small.rows()).map(({ job }) => job).toSorted(), ['home', 'second']);
  });

  it('of which one cannot be looked at do not hold up each other', async () => {
    const small = await SmallFleet.make();
    small.agent.jobs = [jobOf({ name: 'broken', backup: 'when I like' }), jobOf({ backup: 'daily 13:00' })];
    await small.pass(3 * HOUR_MS);
    assert.deepEqual(tried(small), ['taken 13:00']);
    assert.deepEqual(small.alarmCodes(), ['bad-schedule']);
    small.agent.jobs = [jobOf({ name: 'broken', backup: 'daily 16:00' })];
    await small.pass(2 * HOUR_MS);
    assert.deepEqual(tried(small), ['taken 13:00', 'taken 16:00']);
  });
});

describe('a backup that failed', () => {
  it('is tried again an hour later, and then keeps to its hours', async () => {
    const small = await SmallFleet.make({ job: { backup: 'daily 13:00' } });
    small.agent.node.files.remove('/home');
    await small.pass(2.5 * HOUR_MS);
    assert.deepEqual(tried(small), ['failed 13:00', 'failed 14:00']);
    small.agent.node.files.makeDirectory('/home');
    small.write('a', 5000);
    await small.pass(24 * HOUR_MS);
    assert.deepEqual(tried(small).slice(2), ['taken 15:00', 'taken 13:00']);
  });

  it('comes at its next hour if that is sooner', async () => {
    const small = await SmallFleet.make({ job: { backup: 'daily 13:00, 13:20, 13:50' } });
    small.agent.jobs = [jobOf({ backup: 'daily 13:00, daily 13:20, daily 13:50, daily 15:30' })];
    small.agent.node.files.remove('/home');
    await small.pass(4 * HOUR_MS);
    assert.deepEqual(tried(small), [
      'failed 13:00',
      'failed 13:20',
      'failed 13:50',
      'failed 14:50',
      'failed 15:30',
    ]);
  });

  it('by hand is not tried again by itself', async () => {
    const small = await SmallFleet.make();
    small.agent.node.files.remove('/home');
    await assert.rejects(small.take(), LowtideError);
    await small.pass(DAY_MS);
    assert.equal(tried(small).length, 1);
  });

  it('because the agent was stopped starts with it again, at once', async () => {
    const small = await SmallFleet.make({ job: { backup: 'daily 13:00' } });
    await small.pass(HOUR_MS - MINUTE_MS);
    small.agent.crash();
    await small.pass(2 * MINUTE_MS);
    small.agent.jobs = [];
    small.agent.boot();
    await small.pass(MINUTE_MS);
    const { ledger, world } = small.parts;
    const last_tried = world.clock.now();
    await small.finish(updateJob(ledger.db, 'home', { last_code: 'interrupted', last_tried }));
    small.agent.jobs = [jobOf({ backup: 'daily 13:00' })];
    small.agent.running!.reschedule();
    await small.pass(MINUTE_MS);
    assert.deepEqual(tried(small), ['taken 13:02']);
  });
});

describe('a clock', () => {
  for (const [what, shift] of [
    ['a day ahead', DAY_MS],
    ['ten years ahead', 3653 * DAY_MS],
    ['a day behind', -DAY_MS],
    ['ten years behind', -3653 * DAY_MS],
  ] as const) {
    it(`that was ${what} for a night costs at most one backup too many, and none later`, async () => {
      const small = await SmallFleet.make({ job: { backup: 'daily 22:00' } });
      await small.pass(DAY_MS);
      const before = tried(small).length;
      assert.equal(before, 1);
      small.agent.node.setClock(shift);
      await small.pass(DAY_MS);
      small.agent.node.setClock(0);
      await small.pass(2 * DAY_MS);
      const after = tried(small).length;
      assert.ok(after >= 1 + 3 && after <= 1 + 3 + 2, tried(small).join());
      assert.deepEqual(tried(small).slice(-2), ['taken 22:00', 'taken 22:00']);
      assert.ok(
        (await small.states()).every((line) => line.endsWith('safe')),
        (await small.states()).join(),
      );
      assert.equal(await small.spooled(), 0);
      const sequences = (await small.rows()).map(({ sequence }) => sequence);
      assert.deepEqual(
        sequences,
        sequences.map((_, at) => at + 1),
      );
    });
  }

  it('that was years ahead when a backup failed does not put off the next try for years', async () => {
    const small = await SmallFleet.make({ job: { backup: 'daily 13:00' } });
    small.agent.node.files.remove('/home');
    small.agent.node.setClock(3653 * DAY_MS);
    await small.pass(2 * HOUR_MS);
    const before = tried(small).length;
    assert.ok(before >= 1);
    small.agent.node.setClock(0);
    small.agent.node.files.makeDirectory('/home');
    small.write('a', 4000);
    await small.pass(2 * HOUR_MS);
    assert.equal(tried(small).at(-1)!.startsWith('taken'), true);
  });

  it('that is set to summer time and back takes each night once', async () => {
    const zone = 'Europe/London';
    for (const [night, hours] of [
      ['2026-03-28T12:00:00Z', 23],
      ['2026-10-24T12:00:00Z', 25],
    ] as const) {
      const small = await SmallFleet.make({ start: Date.parse(night) });
      small.agent.jobs = [
        jobOf({ backup: 'daily 01:30', zone }),
        jobOf({ name: 'midnight', paths: ['/home/a'], backup: 'daily 00:00', zone }),
      ];
      await small.pass(hours * HOUR_MS);
      assert.equal((await small.rows()).length, 2, `on the night of ${hours} hours`);
      await small.pass(DAY_MS);
      assert.equal((await small.rows()).length, 4);
    }
  });
});

describe('a laptop', () => {
  it('asleep through several hours of several jobs catches up once for each', async () => {
    const small = await SmallFleet.make();
    small.agent.jobs = [
      jobOf({ backup: 'daily 22:00' }),
      jobOf({ name: 'often', paths: ['/home/b'], backup: 'every 2 h' }),
    ];
    await small.pass(HOUR_MS);
    const before = tried(small).length;
    small.agent.node.suspend();
    await small.pass(3 * DAY_MS);
    small.agent.node.resume();
    await small.pass(10 * MINUTE_MS);
    assert.equal(tried(small).length, before + 2);
  });
});
