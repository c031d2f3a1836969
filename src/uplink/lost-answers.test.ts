import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assertRestoresFrom } from '../../test/crash/checks.ts';
import { jobOf, SmallFleet } from '../../test/support/fleet-kit.ts';
import { historyOf } from '../ledger/history.ts';
import type { HistoryKind } from '../ledger/tables.ts';
import type { SnapshotId } from '../model/ids.ts';
import { HOUR_MS } from '../model/time.ts';
import type { ListedEntry } from '../sim/file-listing.ts';

const FIRST = Number(process.env['SEED'] ?? 1);
const NIGHTS = Number(process.env['NIGHTS'] ?? 2);
/** What may stand in a history once and no more, whatever was lost or came twice. */
const ONCE: readonly HistoryKind[] = ['taken', 'offered', 'arrived', 'receipted', 'freed'];

/** A day of backups on a line that loses one message in fifteen and delivers one request in ten twice. */
async function badNight(seed: number): Promise<{ small: SmallFleet; lost: number; twice: number }> {
  const small = await SmallFleet.make({ seed, job: { backup: 'every 2 h' } });
  const { simulation, fleet, center } = small;
  const random = simulation.stream('line');
  const count = { lost: 0, twice: 0 };
  const end = fleet.network.tamper(({ kind }) => {
    if (random.below(15) === 0) {
      count.lost++;
      return 'lose';
    }
    if (kind !== 'request' || random.below(10) > 0) return undefined;
    count.twice++;
    return { againAfterMs: random.below(60_000) };
  });
  simulation.recorder.listen((record) => {
    if (record.what !== 'event' || record.event.kind !== 'freed') return;
    const { snapshot } = record.event;
    const held = center.node.disk.paths().some((path) => path.endsWith(`/manifests/${snapshot}`));
    if (!held) simulation.fail(new Error(`${snapshot} was freed and the center lacks it`));
  });
  for (let hour = 0; hour < 24; hour++) {
    simulation.after(hour * HOUR_MS + random.below(HOUR_MS), () => small.write(`f${random.below(5)}`, 9000));
  }
  await small.pass(24 * HOUR_MS);
  end();
  small.agent.jobs = [jobOf()];
  small.agent.running!.reschedule();
  await small.pass(6 * HOUR_MS);
  return { small, ...count };
}

it('P1: of a whole night, every message may be lost and every request come twice: all is safe in the end, once', async (t) => {
  let lost = 0;
  let twice = 0;
  for (let seed = FIRST; seed < FIRST + NIGHTS; seed++) {
    const night = await badNight(seed);
    lost += night.lost;
    twice += night.twice;
    await checkNight(night.small, seed);
  }
  t.diagnostic(`${lost} messages lost, ${twice} requests twice`);
  assert.ok(lost > 30 * NIGHTS && twice > 5 * NIGHTS);
});

async function checkNight(small: SmallFleet, seed: number): Promise<void> {
  const where = `seed ${seed}`;
  const { simulation, center, agent } = small;
  const rows = await small.rows();
  assert.ok(rows.length >= 10, where);
  assert.ok(
    (await small.states()).every((line) => line.endsWith(': safe')),
    `${where}: ${(await small.states()).join()}`,
  );
  assert.equal(await small.spooled(), 0, where);
  for (const { id } of rows) {
    const centers = await simulation.finish(historyOf(center.running!.ledger.db, id));
    for (const lines of [await small.history(id), centers.map(({ what }) => what)]) {
      for (const what of ONCE) {
        assert.ok(
          lines.filter((line) => line === what).length <= 1,
          `${where}: ${what} twice in ${lines.join()}`,
        );
      }
    }
  }
  const counts = (kind: 'committed' | 'reception', machine: string): number =>
    simulation.recorder.events(kind, machine).length;
  assert.equal(counts('committed', 'oslo'), rows.length, where);
  assert.equal(counts('reception', 'oslo'), rows.length, where);
  assert.equal(simulation.recorder.events('receipted', 'ann').length, rows.length, where);
  const tree: readonly ListedEntry[] = agent.node.files.tree('/home');
  const last: SnapshotId = await small.take();
  await small.pass(HOUR_MS);
  await assertRestoresFrom(center, agent, last, '/home', tree);
}
