import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRestoresFrom } from '../../../test/crash/checks.ts';
import { DATA, jobOf, NEVER, SmallFleet } from '../../../test/support/fleet-kit.ts';
import { updateJob } from '../../ledger/jobs.ts';
import { LowtideError } from '../../model/errors.ts';
import type { CopyRecord, Page } from '../../model/exchange.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';

describe('P1, P2: a backup amid which the power fails', () => {
  it('at any operation is whole in the spool or has left nothing there, and the next one comes', async () => {
    const total = await operationsOfATake();
    assert.ok(total > 40);
    for (let at = 0; at < total; at += 9) {
      const small = await withOneTaken(at);
      await crashInTake(small, at);
      const rows = await small.rows();
      const { depot, ledger } = small.parts;
      assert.deepEqual(await small.finish(ledger.db.selectFrom('runs').selectAll().execute()), []);
      const groups = (await small.finish(depot.groups())).filter((group) => group.startsWith('run-'));
      const known = rows.flatMap(({ pack_group }) => pack_group ?? []);
      assert.ok(
        groups.every((group) => known.includes(group)),
        `crash at ${at} of ${total} left a group`,
      );
      for (const row of rows) assert.ok(await small.finish(depot.hasManifest(row.id)), `crash at ${at}`);
      await small.take();
      small.fleet.network.join('ann', 'oslo');
      await small.pass(HOUR_MS);
      assert.ok(
        (await small.states()).every((line) => line.endsWith('safe')),
        (await small.states()).join(),
      );
      const sequences = (await small.rows()).map(({ sequence }) => sequence);
      assert.deepEqual(
        sequences,
        sequences.map((_, place) => place + 1),
        'no place in the chain is taken twice',
      );
      await assertRestoresFrom(small.center, small.agent, (await small.rows()).at(-1)!.id, '/home');
    }
  });
});

async function withOneTaken(seed: number): Promise<SmallFleet> {
  const small = await SmallFleet.make({ seed });
  await small.pass(MINUTE_MS);
  small.fleet.network.part('ann', 'oslo');
  await small.take();
  small.write('b', 26_000);
  return small;
}

async function operationsOfATake(): Promise<number> {
  const small = await withOneTaken(0);
  const before = small.simulation.operations.count;
  await small.take();
  return small.simulation.operations.count - before;
}

async function crashInTake(small: SmallFleet, at: number): Promise<void> {
  let count = 0;
  let crashed = false;
  const end = small.simulation.observe(({ node }) => {
    if (node !== 'ann' || crashed || count++ < at) return undefined;
    crashed = true;
    small.agent.running = null;
    return at % 2 === 0 ? 'crash-before' : 'crash-after';
  });
  void small.agent.running!.take('home', NEVER).catch(() => undefined);
  await small.simulation.settle();
  end();
  if (!crashed) return;
  small.agent.boot();
  await small.simulation.runUntil(() => small.agent.running !== null, small.simulation.now + MINUTE_MS);
}

describe('a backup', () => {
  it('whose manifest is there, and which the ledger could not record, is recorded before the next', async () => {
    const small = await SmallFleet.make();
    await small.pass(MINUTE_MS);
    // The ledger takes what comes before the manifest, and then nothing more.
    let full: { lift(): void } | null = null;
    const end = small.simulation.observe(({ node, kind, detail }) => {
      if (node !== 'ann' || kind !== 'disk.rename' || !detail.includes('/manifests/')) return undefined;
      full ??= small.agent.node.faults.inject({
        kind: 'database.commit',
        path: 'ledger.db',
        times: Infinity,
        error: 'ENOSPC',
      });
      return undefined;
    });
    await assert.rejects(small.take(), /full/);
    end();
    full!.lift();
    assert.deepEqual(await small.rows(), []);
    small.write('a', 1000);
    await small.take();
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe', 'home#2 oslo: safe']);
    assert.equal(await small.spooled(), 0);
  });

  it('whose manifest could not be put for certain leaves neither manifest nor blocks', async () => {
    const small = await SmallFleet.make();
    await small.pass(MINUTE_MS);
    const fault = small.agent.node.faults.inject({
      kind: 'disk.syncDirectory',
      path: '/manifests',
      error: 'EIO',
    });
    await assert.rejects(small.take());
    assert.equal(fault.hits, 1);
    fault.lift();
    const { depot } = small.parts;
    assert.deepEqual(await small.finish(Array.fromAsync(depot.manifests())), []);
    assert.equal(await small.spooled(), 0);
    await small.take();
    await small.restart(small.agent);
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
  });

  it('whose base is damaged in the spool takes everything again, with one alarm', async () => {
    const small = await SmallFleet.make();
    await small.take();
    await small.pass(HOUR_MS);
    small.damageGroup('meta');
    small.write('a', 21_000);
    const id = await small.take();
    const rows = await small.rows();
    assert.equal(rows.at(-1)?.base, null);
    assert.equal(small.alarms().filter((text) => text.includes('everything is taken again')).length, 1);
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe', 'home#2 oslo: safe']);
    await assertRestoresFrom(small.center, small.agent, id, '/home');
    small.write('a', 22_000);
    await small.take();
    assert.notEqual((await small.rows()).at(-1)?.base, null, 'and the next leans on that');
  });

  it('whose base has lost its manifest takes everything again', async () => {
    for (const harm of ['damage', 'loss'] as const) {
      const small = await SmallFleet.make();
      const first = await small.take();
      await small.pass(HOUR_MS);
      const path = `${DATA}/spool/manifests/${first}`;
      if (harm === 'damage') small.agent.node.disk.corrupt(path, 20, 1);
      else small.agent.node.disk.wipe(path);
      small.write('a', 21_000);
      await small.take();
      assert.equal((await small.rows()).at(-1)?.base, null, harm);
      await small.pass(HOUR_MS);
      assert.deepEqual(await small.states(), ['home#1 oslo: safe', 'home#2 oslo: safe']);
    }
  });

  it('that leans on one which a center never got takes everything again', async () => {
    const small = await SmallFleet.make();
    await small.take();
    await small.pass(HOUR_MS);
    await small.finish(updateJob(small.parts.ledger.db, 'home', { full_needed: 1 }));
    small.write('a', 21_000);
    await small.take();
    small.write('a', 22_000);
    await small.take();
    assert.deepEqual(
      (await small.rows()).map(({ base }) => base !== null),
      [false, false, true],
    );
  });
});

/** The receipt of a first job comes amid the backup of a second, after `at` operations of that. */
async function receiptAmidABackup(at: number): Promise<{ small: SmallFleet; many: SnapshotId }> {
  let known: Page<CopyRecord> = { rows: [], next: null };
  const small = await SmallFleet.make({
    seed: at,
    // The answer to the commit is lost, and a question is answered in no time.
    meddle: (api) => ({
      ...api,
      commit: async (order) => {
        await api.commit(order);
        throw new LowtideError('center-unreachable', 'the answer was lost');
      },
      copies: async () => known,
    }),
  });
  const { files } = small.agent.node;
  files.makeDirectory('/many');
  for (let file = 0; file < 100; file++) files.write(`/many/f${file}`, { seed: `${file}`, size: 300 });
  small.agent.jobs = [jobOf(), jobOf({ name: 'many', paths: ['/many'] })];
  const { client } = small.agent.identity;
  const answers = (): Promise<Page<CopyRecord>> =>
    small.finish(small.center.running!.apiFor(client, null).copies({}));
  await small.take('many');
  await small.pass(MINUTE_MS);
  known = await answers();
  await small.finish(small.agent.running!.uplinks[0]!.refresh());
  await small.pass(MINUTE_MS);
  await small.take('home');
  await small.pass(MINUTE_MS);
  for (let file = 0; file < 100; file += 2) files.write(`/many/f${file}`, { seed: `new ${file}`, size: 310 });
  const page = await answers();
  const agent = small.agent.running!;
  let count = 0;
  const end = small.simulation.observe(({ node }) => {
    if (node !== 'ann' || agent.taking !== 'many' || count++ !== at) return undefined;
    known = page;
    void agent.uplinks[0]!.refresh();
    return undefined;
  });
  const many = await small.take('many');
  end();
  assert.equal(
    small.simulation.recorder.events('freed', 'ann').length,
    2,
    'the receipt came amid the backup',
  );
  await small.pass(MINUTE_MS);
  known = await answers();
  await small.finish(agent.uplinks[0]!.refresh());
  return { small, many };
}

describe('freeing beside a backup', () => {
  it('P1: takes away nothing of what is being taken, whenever the receipt comes', async () => {
    for (const at of [5, 25, 45, 60]) {
      const { small, many } = await receiptAmidABackup(at);
      await small.pass(HOUR_MS);
      assert.ok(
        (await small.states()).every((line) => line.endsWith('safe')),
        (await small.states()).join(),
      );
      await assertRestoresFrom(small.center, small.agent, many, '/many');
      small.agent.node.files.write('/many/f1', { seed: 'last', size: 320 });
      const last = await small.take('many');
      assert.notEqual((await small.rows()).find(({ id }) => id === last)?.base, null);
    }
  });

  it('that fails is an alarm, and the agent lives and frees later', async () => {
    const small = await SmallFleet.make();
    await small.take();
    const fault = small.agent.node.faults.inject({
      kind: 'database.commit',
      path: 'spool/index.db',
      times: Infinity,
      error: 'ENOSPC',
    });
    await small.pass(HOUR_MS);
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
    assert.ok((await small.spooled()) > 0);
    assert.ok(small.alarms().some((text) => text.startsWith('disk-full: freeing the spool failed')));
    fault.lift();
    await small.pass(HOUR_MS);
    assert.equal(await small.spooled(), 0);
  });

  it('keeps what unchanged backups lean on and nothing older', async () => {
    const small = await SmallFleet.make();
    for (let count = 0; count < 6; count++) {
      await small.take();
      await small.pass(HOUR_MS);
    }
    const { depot } = small.parts;
    const kept = await small.finish(Array.fromAsync(depot.manifests()));
    assert.equal(kept.length, 1, 'manifests of nights on which nothing changed do not pile up');
  });
});
