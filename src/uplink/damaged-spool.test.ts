import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRestoresFrom } from '../../test/crash/checks.ts';
import { DATA, SmallFleet } from '../../test/support/fleet-kit.ts';
import type { SealedBlock } from '../format/block.ts';
import { historyOf } from '../ledger/history.ts';
import { HOUR_MS, MINUTE_MS } from '../model/time.ts';

/** One snapshot in the spool whose data blocks have gone bad before they travelled. */
async function damaged(): Promise<SmallFleet> {
  const small = await SmallFleet.make();
  await small.pass(MINUTE_MS);
  small.fleet.network.part('ann', 'oslo');
  await small.take();
  const [row] = await small.rows();
  small.damageGroup(row!.pack_group!);
  small.fleet.network.join('ann', 'oslo');
  return small;
}

/** An uplink whose line changes one byte of the first block of so many streams. */
async function overBadLine(times: number): Promise<SmallFleet> {
  let left = times;
  return await SmallFleet.make({
    meddle: (api) => ({
      ...api,
      blocks: (order, from) => api.blocks(order, left-- > 0 ? flipped(from) : from),
    }),
  });
}

async function* flipped(from: AsyncIterable<SealedBlock>): AsyncGenerator<SealedBlock> {
  let first = true;
  for await (const { id, bytes: good } of from) {
    const bytes = Buffer.from(good);
    if (first) bytes[bytes.length - 1]! ^= 1;
    first = false;
    yield { id, bytes };
  }
}

describe('P1, P6: blocks that are not what their ids say', () => {
  it('because of the line are sent again, hashed before they go, and nothing is given up', async () => {
    const small = await overBadLine(2);
    await small.take();
    await small.pass(6 * HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
    assert.deepEqual(
      small.alarms().filter((text) => text.includes('cannot be sent')),
      [],
    );
  });
});

describe('P1, P6: a snapshot whose blocks the spool has lost', () => {
  it('is stuck with a code, and told of once however often it is ordered', async () => {
    const small = await damaged();
    await small.pass(12 * HOUR_MS);
    for (let count = 0; count < 3; count++) {
      await small.restart(small.center);
      await small.pass(HOUR_MS);
    }
    assert.deepEqual(await small.states(), ['home#1 oslo: stuck damaged-block']);
    const alarms = small.alarms().filter((text) => text.includes('cannot be sent'));
    assert.equal(alarms.length, 1, alarms.join('\n'));
    assert.match(
      alarms[0]!,
      /^damaged-block: snapshot [0-9a-f]{12} cannot be sent to oslo: .*; the next backup of home/,
    );
    assert.ok((await small.spooled()) > 0, 'what is good of it stays');
    const orders = small.simulation.recorder.events('ordered', 'oslo').length;
    assert.ok(orders <= 2, `${orders} orders`);
  });

  it('is found out by the center, which takes nothing that is not what its id says', async () => {
    const small = await damaged();
    await small.pass(HOUR_MS);
    const { ledger } = small.center.running!;
    const [row] = await small.rows();
    const history = await small.finish(historyOf(ledger.db, row!.id));
    const codes = history.map(({ code }) => code);
    assert.deepEqual(
      codes.filter((code) => ['hash-mismatch', 'damaged-block', 'forbidden', 'newer-format'].includes(code))
        .length,
      1,
      `sent once without a look at it: ${codes.join(' ')}`,
    );
  });

  it('stays so over a restart of the agent, without another alarm', async () => {
    const small = await damaged();
    await small.pass(HOUR_MS);
    const before = small.alarmCodes().length;
    await small.restart(small.agent);
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: stuck damaged-block']);
    assert.equal(small.alarmCodes().length, before);
  });

  it('is replaced by the next backup, which has no base and travels at once, and then leaves the spool', async () => {
    const small = await damaged();
    await small.pass(HOUR_MS);
    small.write('b', 31_000);
    const next = await small.take();
    const [, row] = await small.rows();
    assert.equal(row?.base, null);
    await small.pass(MINUTE_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: void voided', 'home#2 oslo: safe']);
    assert.equal(await small.spooled(), 0);
    await assertRestoresFrom(small.center, small.agent, next, '/home');
  });

  it('is closed with those that lean on it, taken before anybody knew', async () => {
    const small = await SmallFleet.make();
    await small.pass(MINUTE_MS);
    small.fleet.network.part('ann', 'oslo');
    await small.take();
    small.write('a', 22_000);
    await small.take();
    const [first] = await small.rows();
    small.damageGroup(first!.pack_group!);
    small.fleet.network.join('ann', 'oslo');
    await small.pass(2 * HOUR_MS);
    assert.deepEqual(await small.states(), [
      'home#1 oslo: stuck damaged-block',
      'home#2 oslo: behind base-unknown',
    ]);
    await small.take();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), [
      'home#1 oslo: void voided',
      'home#2 oslo: void voided',
      'home#3 oslo: safe',
    ]);
    assert.equal(await small.spooled(), 0);
  });

  it('does not matter where the center has the blocks already', async () => {
    const small = await SmallFleet.make({ conditions: { windows: '12:00-12:01, 14:00-15:00' } });
    small.fleet.network.setLine('ann', 'oslo', { bytesPerSecond: 900 });
    await small.take();
    await small.pass(2 * MINUTE_MS);
    assert.equal(small.simulation.recorder.events('paused', 'oslo').length, 1);
    const before = small.simulation.recorder.events('paused', 'oslo')[0]!.bytes;
    assert.ok(before > 0);
    const [row] = await small.rows();
    small.agent.node.disk.corrupt(small.packsOf(row!.pack_group!)[0]!, 400, 1);
    small.fleet.network.setLine('ann', 'oslo', { bytesPerSecond: 1e6 });
    await small.pass(4 * HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
  });

  it('is stuck at the center that lacks it, and safe at the one that had it before', async () => {
    const small = await SmallFleet.make({ centers: ['oslo', 'rome'] });
    await small.pass(MINUTE_MS);
    small.fleet.network.part('ann', 'rome');
    await small.take();
    await small.pass(MINUTE_MS);
    const [row] = await small.rows();
    small.damageGroup(row!.pack_group!);
    small.fleet.network.join('ann', 'rome');
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe', 'home#1 rome: stuck damaged-block']);
    assert.ok((await small.spooled()) > 0);
    await small.take();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), [
      'home#1 oslo: safe',
      'home#1 rome: void voided',
      'home#2 oslo: safe',
      'home#2 rome: safe',
    ]);
    assert.equal(await small.spooled(), 0);
  });

  it('so is one whose manifest is damaged, and the agent goes on', async () => {
    const small = await SmallFleet.make();
    await small.pass(MINUTE_MS);
    small.fleet.network.part('ann', 'oslo');
    const first = await small.take();
    small.agent.node.disk.corrupt(`${DATA}/spool/manifests/${first}`, 30, 1);
    small.fleet.network.join('ann', 'oslo');
    await small.restart(small.agent);
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: stuck damaged-manifest']);
    const { ledger } = small.center.running!;
    const history = await small.finish(historyOf(ledger.db, first));
    assert.ok(
      history.some(({ code }) => code === 'declined-not-here'),
      'the center need not wait for it',
    );
    assert.ok(history.every(({ code }) => code !== 'order-idle'));
    await small.take();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: void voided', 'home#2 oslo: safe']);
    assert.equal(await small.spooled(), 0);
  });

  it('can be discarded by its owner before', async () => {
    const small = await damaged();
    await small.pass(HOUR_MS);
    const [row] = await small.rows();
    await small.finish(small.agent.running!.discard(row!.id));
    assert.deepEqual(await small.states(), ['home#1 oslo: void voided']);
    assert.equal(await small.spooled(), 0);
  });
});
