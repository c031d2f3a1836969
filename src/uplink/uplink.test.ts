import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jobOf, NOON, SmallFleet } from '../../test/support/fleet-kit.ts';
import { LowtideError } from '../model/errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../model/time.ts';

describe('connecting', () => {
  it('is tried again after longer and longer while it fails, at once when something new is owed, and soon after it worked', async () => {
    const attempts: number[] = [];
    let now = (): number => NOON;
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...api,
        hello: (me) => {
          attempts.push(now());
          return api.hello(me);
        },
      }),
    });
    now = () => small.simulation.now;
    await small.pass(MINUTE_MS);
    small.center.crash();
    attempts.length = 0;
    await small.pass(HOUR_MS);
    const { retry_ms_max } = small.agent.node.limits;
    const gaps = attempts.slice(1).map((at, index) => at - attempts[index]!);
    assert.ok(gaps.length >= 10 && gaps.length <= 25, `${gaps.length} attempts in an hour`);
    assert.ok(gaps[0]! < 4 * SECOND_MS);
    assert.ok(gaps.slice(0, 6).every((gap, index) => index === 0 || gap > gaps[index - 1]!));
    for (const gap of gaps.slice(-4)) {
      assert.ok(gap >= 0.75 * retry_ms_max && gap <= 1.25 * retry_ms_max + SECOND_MS, `${gap} ms`);
    }
    attempts.length = 0;
    await small.take();
    await small.pass(SECOND_MS);
    assert.equal(attempts.length, 1, 'a new snapshot is worth a try');
    small.center.boot();
    await small.pass(10 * MINUTE_MS);
    attempts.length = 0;
    small.fleet.network.reset('ann', 'oslo');
    await small.pass(3 * SECOND_MS);
    assert.equal(attempts.length, 1, 'after a connection that was of use the next try comes soon');
  });

  it('is tried for whoever looks, and no later because they looked', async () => {
    const small = await SmallFleet.make({});
    await small.pass(MINUTE_MS);
    small.center.crash();
    await small.pass(5 * SECOND_MS);
    const [uplink] = small.agent.running!.uplinks;
    const waits = async (): Promise<number> => {
      await small.pass(100);
      return uplink!.status.retryAt! - small.simulation.now;
    };
    const before = await waits();
    for (let looks = 0; looks < 10; looks++) {
      uplink!.wake();
      assert.ok((await waits()) < 4 * before, `${before} ms before`);
    }
  });

  it('is not tried every second because a center says hello and then nothing sensible', async () => {
    let hellos = 0;
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...api,
        hello: (me) => {
          hellos++;
          return api.hello(me);
        },
        copies: async () => {
          throw new LowtideError('crashed', 'the center has an internal error');
        },
      }),
    });
    small.center.crash();
    await small.take();
    small.center.boot();
    await small.pass(6 * HOUR_MS);
    assert.ok(hellos < 150, `${hellos} hellos in six hours`);
    assert.equal(small.agent.running!.uplinks[0]!.status.code, 'crashed');
  });

  it('ends at once when the agent stops, whatever the line does', async () => {
    const small = await SmallFleet.make();
    await small.pass(MINUTE_MS);
    await small.take();
    small.fleet.network.part('ann', 'oslo');
    await small.take();
    await small.pass(SECOND_MS);
    const before = small.simulation.now;
    await small.agent.shutDown();
    assert.ok(small.simulation.now - before < SECOND_MS);
  });

  it('shows what is in transit as waiting once the line is gone', async () => {
    const small = await SmallFleet.make();
    small.fleet.network.setLine('ann', 'oslo', { bytesPerSecond: 1000 });
    await small.pass(MINUTE_MS);
    await small.take();
    await small.pass(5 * SECOND_MS);
    await small.finish(small.agent.running!.uplinks[0]!.refresh());
    assert.deepEqual(await small.states(), ['home#1 oslo: in-transit running']);
    small.fleet.network.part('ann', 'oslo');
    await small.pass(10 * MINUTE_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: waiting center-unreachable']);
  });

  it('tells of a wrong clock once, not at every connection', async () => {
    const small = await SmallFleet.make();
    small.agent.node.setClock(20 * MINUTE_MS);
    for (let count = 0; count < 3; count++) {
      small.fleet.network.reset('ann', 'oslo');
      await small.pass(MINUTE_MS);
    }
    assert.deepEqual(small.alarmCodes(), ['clock-off']);
    assert.match(small.alarms()[0]!, /20 min ahead of the clock of oslo/);
    small.agent.node.setClock(0);
    small.fleet.network.reset('ann', 'oslo');
    await small.pass(MINUTE_MS);
    small.agent.node.setClock(-HOUR_MS);
    small.fleet.network.reset('ann', 'oslo');
    await small.pass(MINUTE_MS);
    assert.equal(small.alarmCodes().length, 2, 'when it goes wrong again that is news');
  });
});

describe('offering', () => {
  it('is tried again after a while when the center has trouble, without waiting for the next backup', async () => {
    const small = await SmallFleet.make();
    await small.pass(MINUTE_MS);
    const fault = small.center.node.faults.inject({
      kind: 'database.',
      path: 'ledger.db',
      times: Infinity,
      error: 'ENOSPC',
    });
    await small.take();
    await small.pass(5 * MINUTE_MS);
    assert.deepEqual(small.alarmCodes(), ['disk-full'], 'it is told once');
    fault.lift();
    await small.pass(15 * MINUTE_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
  });

  it('that finds no room above is why the copy waits, until there is some (promise P6)', async () => {
    let full = true;
    const small = await SmallFleet.make({
      meddle: (api) => ({
        ...api,
        offer: async (...values) => {
          if (full) throw new LowtideError('quota-full', 'oslo keeps 1 byte for this sender');
          return await api.offer(...values);
        },
      }),
    });
    await small.take();
    await small.pass(5 * MINUTE_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: waiting quota-full']);
    full = false;
    await small.pass(15 * MINUTE_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
  });

  it('is not done again for what was offered with the same wishes, and is for what has others', async () => {
    let offers = 0;
    const small = await SmallFleet.make({
      conditions: { windows: 'never' },
      meddle: (api) => ({
        ...api,
        offer: (...values) => {
          offers++;
          return api.offer(...values);
        },
      }),
    });
    await small.pass(MINUTE_MS);
    for (let count = 0; count < 5; count++) {
      await small.take();
      await small.pass(MINUTE_MS);
    }
    assert.equal(offers, 5);
    small.agent.jobs = [jobOf({ transfer: '01:00-02:00' })];
    small.agent.running!.uplinks[0]!.wake();
    await small.pass(MINUTE_MS);
    assert.equal(offers, 10);
  });

  it('P3: of a job that was removed keeps to the hours that it had', async () => {
    const small = await SmallFleet.make({ job: { transfer: '22:00-23:00' } });
    await small.pass(MINUTE_MS);
    small.center.crash();
    await small.take();
    small.agent.jobs = [];
    small.center.boot();
    await small.pass(8 * HOUR_MS);
    await small.finish(small.agent.running!.uplinks[0]!.refresh());
    assert.deepEqual(await small.states(), ['home#1 oslo: waiting client-window']);
    await small.pass(3 * HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
    assert.equal(await small.spooled(), 0);
  });
});

describe('a center that went back', () => {
  it('to before the machine joined says so, frees nothing, and loses no more once it has joined again', async () => {
    const small = await SmallFleet.make();
    await small.pass(MINUTE_MS);
    // As it was before anybody joined: nobody is in its ledger.
    const other = await SmallFleet.make();
    await other.finish(other.center.running!.ledger.db.deleteFrom('clients').execute());
    await other.center.shutDown();
    const before = other.center.node.snapshotState();
    await small.take();
    await small.pass(HOUR_MS);
    small.write('a', 21_000);
    small.fleet.network.part('ann', 'oslo');
    const second = await small.take();
    await small.center.shutDown();
    small.center.node.restoreState(before);
    small.center.boot();
    small.fleet.network.join('ann', 'oslo');
    await small.pass(HOUR_MS);
    const [uplink] = small.agent.running!.uplinks;
    assert.equal(uplink!.status.code, 'not-enrolled');
    assert.match(uplink!.status.message, /oslo does not know this machine.*join again/);
    assert.deepEqual(small.alarmCodes(), ['not-enrolled']);
    assert.ok((await small.spooled()) > 20_000);
    assert.ok(!(await small.history(second)).includes('freed'));
    await small.finish(small.agent.enroll());
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), [
      'home#1 oslo: behind center-went-back',
      'home#2 oslo: behind base-unknown',
    ]);
    assert.ok(small.alarmCodes().includes('center-went-back'));
    await small.take();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), [
      'home#1 oslo: void voided',
      'home#2 oslo: void voided',
      'home#3 oslo: safe',
    ]);
    assert.equal(await small.spooled(), 0);
  });

  it('makes one backup of everything necessary, not one for each night until it has come', async () => {
    const small = await SmallFleet.make({ job: { transfer: '23:00-23:30' } });
    await small.pass(MINUTE_MS);
    const old = small.center.node.snapshotState();
    await small.take();
    await small.pass(12 * HOUR_MS);
    await small.center.shutDown();
    small.center.node.restoreState(old);
    small.center.boot();
    await small.pass(HOUR_MS);
    for (let count = 0; count < 3; count++) {
      await small.take();
      await small.restart(small.center);
      await small.pass(HOUR_MS);
    }
    const bases = (await small.rows()).map(({ base }) => base !== null);
    assert.deepEqual(bases, [false, false, true, true]);
    await small.pass(DAY_MS);
    assert.deepEqual(await small.states(), [
      'home#1 oslo: void voided',
      'home#2 oslo: safe',
      'home#3 oslo: safe',
      'home#4 oslo: safe',
    ]);
  });

  it('and has what it had lost again, is believed again', async () => {
    const small = await SmallFleet.make();
    await small.pass(MINUTE_MS);
    const old = small.center.node.snapshotState();
    await small.take();
    await small.pass(HOUR_MS);
    await small.center.shutDown();
    const whole = small.center.node.snapshotState();
    for (const [state, expected] of [
      [old, 'home#1 oslo: behind center-went-back'],
      [whole, 'home#1 oslo: safe'],
    ] as const) {
      small.center.node.restoreState(state);
      small.center.boot();
      await small.pass(HOUR_MS);
      assert.deepEqual(await small.states(), [expected]);
      await small.center.shutDown();
    }
  });
});

it('says when a center that is away is tried again, and nothing of that while it is there', async () => {
  const small = await SmallFleet.make();
  small.center.crash();
  await small.pass(HOUR_MS);
  const { status } = small.agent.running!.uplinks[0]!;
  const { now } = small.simulation;
  assert.ok(status.retryAt !== null && status.retryAt > now && status.retryAt <= now + 6.25 * MINUTE_MS);
  await small.pass(status.retryAt - now - 1);
  small.center.boot();
  await small.pass(MINUTE_MS);
  const { connected, retryAt } = small.agent.running!.uplinks[0]!.status;
  assert.deepEqual([connected, retryAt], [true, null]);
});
