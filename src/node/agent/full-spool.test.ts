import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRestoresFrom } from '../../../test/crash/checks.ts';
import { jobOf, NEVER, SmallFleet } from '../../../test/support/fleet-kit.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../model/time.ts';

describe('P1: a full spool', () => {
  it('takes nothing new, says so with one alarm, drops nothing, and goes on once it is drained', async () => {
    const small = await SmallFleet.make({
      spoolBytes: 60_000,
      job: { backup: 'every 2 h', transfer: '11:00-12:00' },
    });
    await small.pass(3 * HOUR_MS);
    for (let hour = 0; hour < 12; hour++) {
      small.write('a', 20_000 + hour);
      await small.pass(HOUR_MS);
    }
    const before = await small.rows();
    assert.ok(before.every(({ pack_group }) => pack_group !== null));
    assert.ok((await small.spooled()) >= 60_000 - 16 * 1024);
    assert.deepEqual(small.alarmCodes(), ['quota-full']);
    const failed = small.simulation.recorder.events('take-failed', 'ann');
    assert.ok(failed.length >= 6 && failed.every(({ code }) => code === 'quota-full'));
    await small.pass(DAY_MS - 15 * HOUR_MS);
    assert.ok((await small.states()).filter((line) => line.endsWith('safe')).length >= before.length);
    const after = await small.rows();
    assert.ok(after.length > before.length, 'the backup that had no room came as soon as there was some');
    assert.equal(
      (await small.finish(small.agent.running!.nextDue(small.agent.jobs[0]!)))! > small.simulation.now,
      true,
    );
  });

  it('passes a large first backup through in parts, each freed before the next, and the last is whole', async () => {
    const small = await SmallFleet.make({ spoolBytes: 40_000 });
    for (const name of ['c', 'd', 'e']) small.write(name, 50_000);
    const first = await small.take();
    assert.equal((await small.rows())[0]?.complete, 0);
    await small.pass(HOUR_MS);
    const rows = await small.rows();
    assert.ok(rows.length >= 4);
    assert.deepEqual(
      rows.map(({ complete }) => complete),
      [...rows.slice(1).map(() => 0), 1],
      'by hand, and yet it went on by itself',
    );
    assert.equal(rows[0]?.id, first);
    assert.equal(await small.spooled(), 0);
    await assertRestoresFrom(small.center, small.agent, rows.at(-1)!.id, '/home');
  });

  it('holds a first part only until it is collected, however long that takes', async () => {
    const small = await SmallFleet.make({ spoolBytes: 40_000, conditions: { windows: '22:00-23:00' } });
    small.write('c', 80_000);
    await small.take();
    await small.pass(6 * HOUR_MS);
    assert.equal((await small.rows()).length, 1);
    assert.deepEqual(small.alarmCodes(), [], 'nobody asked for more');
    await small.pass(6 * HOUR_MS);
    assert.equal((await small.rows()).at(-1)?.complete, 1);
  });

  it('goes on again after a power loss between any two parts', async () => {
    for (const delay of [200, 1500, 5000]) {
      const small = await SmallFleet.make({ spoolBytes: 40_000, seed: delay });
      small.write('c', 120_000);
      await small.take();
      for (let count = 0; count < 4; count++) {
        await small.pass(delay);
        small.agent.crash();
        small.agent.boot();
        await small.simulation.runUntil(() => small.agent.running !== null, small.simulation.now + MINUTE_MS);
      }
      await small.pass(2 * HOUR_MS);
      const rows = await small.rows();
      assert.equal(rows.at(-1)?.complete, 1);
      assert.ok((await small.states()).every((line) => line.endsWith('safe')));
      await assertRestoresFrom(small.center, small.agent, rows.at(-1)!.id, '/home');
    }
  });

  it('refuses a backup by hand with the numbers and what to do', async () => {
    const small = await SmallFleet.make({ spoolBytes: 50_000, conditions: { windows: 'never' } });
    await small.take();
    await assert.rejects(small.take(), (error) => {
      assert.ok(isLowtideError(error, 'quota-full'));
      assert.match(
        error.message,
        /holds \d+\.\d KiB of 48\.8 KiB and .* wait for collection, or raise the quota/,
      );
      return true;
    });
  });
});

describe('a discarded snapshot', () => {
  it('goes with the later ones of its job, at every center, and the next backup has no base', async () => {
    const small = await SmallFleet.make({ centers: ['oslo', 'rome'], conditions: { windows: 'never' } });
    small.agent.jobs = [jobOf(), jobOf({ name: 'other', paths: ['/home/a'] })];
    const first = await small.take();
    const second = await small.take();
    await small.take('other');
    await small.pass(MINUTE_MS);
    const gone = await small.finish(small.agent.running!.discard(first));
    assert.deepEqual(gone, [first, second]);
    await small.pass(MINUTE_MS);
    for (const { running } of small.centers) {
      const left = await small.finish(running!.ledger.db.selectFrom('offers').select('snapshot').execute());
      assert.equal(left.length, 1, 'the center does not wait for it any more');
    }
    assert.deepEqual((await small.states()).slice(0, 4), [
      'home#1 oslo: void voided',
      'home#1 rome: void voided',
      'home#2 oslo: void voided',
      'home#2 rome: void voided',
    ]);
    assert.deepEqual(await small.history(second), [
      'taken',
      'offered',
      'offered',
      'voided',
      'discarded',
      'voided',
      'voided',
    ]);
    const third = await small.take();
    assert.equal((await small.rows()).find(({ id }) => id === third)?.base, null);
    await assert.rejects(small.finish(small.agent.running!.discard(first)), (error) =>
      isLowtideError(error, 'wrong-state'),
    );
  });

  it('that was only a part is not begun again by itself', async () => {
    const small = await SmallFleet.make({ spoolBytes: 40_000, conditions: { windows: 'never' } });
    small.write('c', 90_000);
    const part = await small.take();
    await small.finish(small.agent.running!.discard(part));
    await small.pass(DAY_MS);
    assert.equal((await small.rows()).length, 1);
    assert.equal(await small.spooled(), 0);
  });

  it('waits for the backup under way, which may lean on it', async () => {
    const small = await SmallFleet.make({ conditions: { windows: 'never' } });
    const first = await small.take();
    small.write('a', 25_000);
    const agent = small.agent.running!;
    let discarding: Promise<readonly SnapshotId[]> | null = null;
    const end = small.simulation.observe(() => {
      if (agent.taking !== null) discarding ??= agent.discard(first);
      return undefined;
    });
    const taking = agent.take('home', NEVER);
    await small.finish(taking);
    end();
    const gone = await small.finish(discarding!);
    assert.deepEqual(gone, [first, (await taking).signed.id]);
    assert.equal(await small.spooled(), 0);
    const next = await small.take();
    assert.equal((await small.rows()).find(({ id }) => id === next)?.base, null);
  });

  it('amid which the power fails is either there or gone, and can be discarded again', async () => {
    for (let left = 0; left < 60; left += 3) {
      const small = await SmallFleet.make({ seed: left, conditions: { windows: 'never' } });
      const first = await small.take();
      await small.take();
      let count = 0;
      let crashed = false;
      const end = small.simulation.observe((operation) => {
        if (operation.node !== 'ann' || count++ < left) return undefined;
        end();
        crashed = true;
        small.agent.running = null;
        return left % 2 === 0 ? 'crash-before' : 'crash-after';
      });
      void small.agent.running!.discard(first);
      await small.pass(1000);
      end();
      if (!crashed) return;
      small.agent.boot();
      await small.pass(MINUTE_MS);
      const open = (await small.states()).filter((line) => !line.endsWith('void voided'));
      if (open.length > 0) await small.finish(small.agent.running!.discard(first));
      assert.ok(
        (await small.states()).every((line) => line.endsWith('void voided')),
        `after a crash at ${left}`,
      );
      assert.equal(await small.spooled(), 0, `after a crash at ${left}`);
    }
  });
});
