import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CollectKit } from '../../test/support/collect-kit.ts';
import { lastChanges } from '../ledger/audit.ts';
import { MINUTE_MS, SECOND_MS } from '../model/time.ts';
import type { CommandEnd, World } from '../world/ports.ts';
import type { Conditions } from './parts.ts';

const OPEN: Conditions = { windows: 'any', zone: 'UTC', streams: 1 };

/** A collector on a machine that tells what the test says, and ann who has something to send. */
async function atWork(conditions: Partial<Conditions>, strain: Partial<World>) {
  const kit = await CollectKit.make();
  Object.assign(kit.world, strain);
  kit.collector.setConditions({ ...OPEN, ...conditions });
  await kit.pass(SECOND_MS);
  const ann = await kit.client('ann');
  const listener = ann.listen();
  const snapshot = await ann.snapshot({ data: ['a', 'b', 'c', 'd'] });
  await ann.offer(snapshot);
  await kit.pass(11 * SECOND_MS);
  const why = (): string => kit.collector.planning.reasonFor(snapshot.id)!.code;
  return { kit, ann, listener, snapshot, why };
}

const ended = (status: number): CommandEnd => ({
  ok: status === 0,
  status,
  how: status === 0 ? '' : `it ended with status ${status}`,
  said: '',
});

describe('S66: the machine is asked how busy it is', () => {
  for (const [ceiling, code] of [
    ['load', 'load'],
    ['disk', 'disk-pressure'],
  ] as const) {
    it(`${code}: above the ceiling nothing is started, until it has fallen well below`, async () => {
      let value = 2;
      const told = { load: async () => null, disk: async () => null, [ceiling]: async () => value };
      const ceilings = { load: null, disk: null, [ceiling]: 1.5 };
      const { kit, listener, why } = await atWork({ ceilings }, { strain: told });
      // The transfer had been ordered before anybody looked: it goes on, and nothing is started after it.
      const before = listener.sends.length;
      listener.hangUp();
      const ben = await kit.client('ben');
      const bens = ben.listen();
      await ben.offer(await ben.snapshot());
      await kit.pass(15 * SECOND_MS);
      assert.equal(bens.sends.length, 0);
      assert.ok(before <= 1);
      value = 1.3;
      await kit.pass(MINUTE_MS);
      assert.equal(bens.sends.length, 0, 'it has not calmed down yet');
      assert.match(
        kit.collector.readings.find((reading) => reading.code === code)!.text,
        /1\.30, at most 1\.5/,
      );
      value = 1.1;
      await kit.pass(15 * SECOND_MS);
      assert.equal(bens.sends.length, 1);
      assert.notEqual(why(), code);
    });
  }

  it('a machine that does not tell has no ceiling', async () => {
    const strain = { load: async () => null, disk: async () => null };
    const { listener, kit } = await atWork({ ceilings: { load: 1, disk: 0.1 } }, { strain });
    assert.equal(listener.sends.length, 1);
    assert.deepEqual(
      kit.collector.readings.map(({ text }) => text),
      ['this machine does not tell', 'this machine does not tell'],
    );
  });
});

describe('S66: not while', () => {
  it('a program ends with status 0: what is being sent is stopped, and goes on when it does no more', async () => {
    let status = 1;
    const asked: string[] = [];
    const run: NonNullable<World['commands']>['run'] = async ({ words, timeoutMs }) => {
      asked.push(`${words.join(' ')} ${timeoutMs}`);
      return ended(status);
    };
    const commands = { run } as World['commands'] & object;
    const notWhile = [['/usr/bin/pgrep', '-x', 'ffmpeg']];
    const { kit, listener, why } = await atWork({ notWhile }, { commands });
    assert.equal(why(), 'next');
    assert.equal(listener.sends.length, 1);
    status = 0;
    await kit.pass(15 * SECOND_MS);
    assert.deepEqual(
      listener.stops.map(({ code }) => code),
      ['not-while'],
    );
    assert.equal(why(), 'not-while');
    status = 1;
    await kit.pass(15 * SECOND_MS);
    assert.equal(listener.sends.length, 2);
    assert.equal(asked[0], '/usr/bin/pgrep -x ffmpeg 10000');
    assert.ok(asked.length <= 6, `asked ${asked.length} times in 42 s`);
  });

  it('a program that cannot say anything holds nobody up: one alarm says so', async () => {
    const commands = { run: async () => ended(127) } as unknown as World['commands'] & object;
    const { kit, listener } = await atWork({ notWhile: [['/bin/gone']] }, { commands });
    await kit.pass(MINUTE_MS);
    assert.equal(listener.sends.length, 1);
    assert.deepEqual(
      kit.alarms.filter((code) => code === 'hook-failed'),
      ['hook-failed'],
    );
  });
});

it('S77: a computer whose owner lets nothing be sent says so, and goes on at once when it does', async () => {
  const kit = await CollectKit.make({ conditions: OPEN });
  const ann = await kit.client('ann');
  const listener = ann.listen();
  const snapshot = await ann.snapshot();
  const [copy] = await ann.offer(snapshot, { transfer: 'never' });
  assert.equal(copy?.code, 'client-held');
  await ann.offer(snapshot, { transfer: 'any' });
  await listener.order();
  await ann.offer(snapshot, { transfer: 'never' });
  await kit.pass(SECOND_MS);
  assert.equal(listener.stops.length, 1, 'also in the middle of it');
});

it('S48: what is changed while it runs, and while it does not, is kept with its time', async () => {
  const kit = await CollectKit.make();
  const change = (windows: string): void =>
    kit.collector.setConditions({ ...OPEN, windows, written: { windows, streams: '1' } });
  change('any');
  await kit.pass(SECOND_MS);
  assert.deepEqual(await lastChanges(kit.ledger.db, 10), [], 'there was nothing before');
  change('22:00-06:00');
  change('22:00-05:00');
  await kit.pass(SECOND_MS);
  const changes = await lastChanges(kit.ledger.db, 10);
  assert.deepEqual(
    changes.map(({ key, before, after }) => `${key}: ${before} ${after}`),
    ['windows: 22:00-06:00 22:00-05:00', 'windows: any 22:00-06:00'],
  );
  const told = kit.simulation.recorder.events('changed');
  assert.equal(told.length, 2);
  await kit.restart();
  change('any');
  await kit.pass(SECOND_MS);
  assert.equal((await lastChanges(kit.ledger.db, 1))[0]?.before, '22:00-05:00');
});
