import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRestoresFrom } from '../../../test/crash/checks.ts';
import { DATA, jobOf, SmallFleet } from '../../../test/support/fleet-kit.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';

/** Somebody deletes ledger.db while the agent is off. */
async function loseLedger(small: SmallFleet): Promise<void> {
  await small.agent.shutDown();
  small.agent.node.disk.wipe(`${DATA}/ledger.db`);
  small.agent.boot();
  await small.simulation.runUntil(() => small.agent.running !== null, small.simulation.now + MINUTE_MS);
}

describe('P1: an agent that has lost its ledger', () => {
  it('starts, offers again what is not known to be safe, and learns from the center what is', async () => {
    const small = await SmallFleet.make();
    await small.take();
    small.write('a', 21_000);
    await small.take();
    await small.pass(HOUR_MS);
    small.fleet.network.part('ann', 'oslo');
    small.write('a', 22_000);
    await small.take();
    await small.take();
    const spooled = await small.spooled();
    await loseLedger(small);
    assert.equal(await small.spooled(), spooled);
    const rows = await small.rows();
    assert.deepEqual(
      rows.map(({ sequence, pack_group }) => [sequence, pack_group !== null]),
      [
        [2, false],
        [3, true],
        [4, true],
      ],
      'the base, what is in the spool, and one in which nothing was new',
    );
    small.fleet.network.join('ann', 'oslo');
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#2 oslo: safe', 'home#3 oslo: safe', 'home#4 oslo: safe']);
    assert.equal(await small.spooled(), 0);
    small.write('a', 23_000);
    const next = await small.take();
    const row = (await small.rows()).at(-1);
    assert.deepEqual([row?.sequence, row?.base !== null], [5, true]);
    await small.pass(HOUR_MS);
    await assertRestoresFrom(small.center, small.agent, next, '/home');
    assert.deepEqual(small.alarmCodes(), []);
  });

  it("together with the center's newest, needs everything again and says nothing false", async () => {
    const small = await SmallFleet.make();
    await small.pass(MINUTE_MS);
    const old = small.center.node.snapshotState();
    await small.take();
    await small.pass(HOUR_MS);
    await small.center.shutDown();
    small.center.node.restoreState(old);
    await loseLedger(small);
    small.center.boot();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: behind center-went-back']);
    await small.take();
    assert.equal((await small.rows()).at(-1)?.base, null);
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: void voided', 'home#2 oslo: safe']);
  });

  it('amid a backup sweeps what nobody can name any more', async () => {
    const small = await SmallFleet.make();
    await small.take();
    await small.pass(HOUR_MS);
    small.write('b', 90_000);
    let count = 0;
    const end = small.simulation.observe(({ node }) => {
      if (node !== 'ann' || count++ < 45) return undefined;
      end();
      small.agent.running = null;
      return 'crash-after';
    });
    void small.agent.running!.take('home', new AbortController().signal).catch(() => undefined);
    await small.pass(1000);
    end();
    small.agent.node.disk.wipe(`${DATA}/ledger.db`);
    small.agent.boot();
    await small.pass(HOUR_MS);
    assert.equal(await small.spooled(), 0);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
  });

  it('does not sweep the blocks of a snapshot whose manifest is damaged', async () => {
    const small = await SmallFleet.make({ conditions: { windows: 'never' } });
    const id = await small.take();
    const spooled = await small.spooled();
    small.agent.node.disk.corrupt(`${DATA}/spool/manifests/${id}`, 9, 1);
    await loseLedger(small);
    assert.equal(await small.spooled(), spooled);
    assert.deepEqual(small.alarmCodes(), ['damaged-manifest']);
    await small.take();
  });

  it('knows the jobs that are private again by their names', async () => {
    const small = await SmallFleet.make({ job: { private: true, name: 'diary' } });
    await small.take('diary');
    await small.pass(HOUR_MS);
    small.agent.jobs = [jobOf({ private: true, name: 'diary' }), jobOf({ name: 'other' })];
    await loseLedger(small);
    const [row] = await small.rows();
    assert.deepEqual([row?.job, row?.label], ['diary', '/home']);
    await small.take('diary');
    assert.notEqual((await small.rows()).at(-1)?.base, null);
  });
});
