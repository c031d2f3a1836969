import assert from 'node:assert/strict';
import { HOUR_MS } from '../../src/model/time.ts';
import { spoolBytes } from '../../src/node/agent/spool.ts';
import { listSnapshots } from '../../src/ledger/snapshots.ts';
import { copiesOf } from '../../src/ledger/copies.ts';
import { Fleet } from '../../src/sim/fleet.ts';
import type { AgentMachine, CenterMachine } from '../../src/sim/machines.ts';
import { assertRestoresFrom, testJob } from './checks.ts';
import { Simulation } from '../../src/sim/simulation.ts';

const START = Date.UTC(2026, 2, 2, 20);
/** Two nights: what the first could not finish after a crash, the second must. */
const END = START + 37 * HOUR_MS;

/** The seed's night (SEED, claim 1) on a small fleet, with a change between its two nights. */
export class SeedNight {
  readonly simulation: Simulation;
  readonly fleet: Fleet;
  center!: CenterMachine;
  agent!: AgentMachine;

  constructor(seed: number | string) {
    this.simulation = new Simulation({ seed, start: START });
    this.fleet = new Fleet(this.simulation);
  }

  async prepare(): Promise<void> {
    this.center = await this.fleet.addCenter('tokyo', { windows: '22:00-08:00', zone: 'UTC', streams: 1 });
    this.agent = await this.fleet.addAgent('ann', 'UTC', { centers: [this.center], spoolBytes: 4 << 20 });
    const { files } = this.agent.node;
    files.makeDirectory('/home/ann');
    files.write('/home/ann/a', { seed: 'a', size: 20_000 });
    files.write('/home/ann/b', { seed: 'b', size: 30_000 });
    this.agent.jobs = [
      testJob('a', '/home/ann/a', 'daily 22:00', '00:00-03:00'),
      testJob('b', '/home/ann/b', 'daily 23:00', '02:00-06:00'),
    ];
    this.agent.running!.reschedule();
    this.simulation.at(START + 24 * HOUR_MS, () => files.write('/home/ann/b', { seed: 'b2', size: 31_000 }));
  }

  async run(): Promise<void> {
    await this.simulation.run({ until: END });
  }

  /**
   * P1 and P2 as an outsider sees them: everything the agent freed, and in the end everything it took, restores bit for
   * bit from the center alone, even when both lose power now; nothing needed a hand.
   */
  async check(): Promise<void> {
    const { simulation, agent, center } = this;
    assert.ok(agent.running, 'the agent runs');
    assert.ok(center.running, 'the center runs');
    const { parts } = agent.running;
    const rows = await simulation.finish(listSnapshots(parts.ledger.db));
    const jobs = rows.map(({ job }) => job);
    assert.deepEqual([...new Set(jobs)].toSorted(), ['a', 'b'], 'both jobs were taken');
    for (const row of rows) {
      const copies = await simulation.finish(copiesOf(parts.ledger.db, row.id));
      assert.deepEqual(
        copies.map(({ phase }) => phase),
        ['safe'],
        `${row.job}#${row.sequence} is safe`,
      );
    }
    assert.equal(await simulation.finish(spoolBytes(parts)), 0, 'the spool is drained');
    center.crash();
    center.boot();
    await simulation.runUntil(() => center.running !== null, END + HOUR_MS);
    for (const name of ['a', 'b']) {
      const newest = rows.find((row) => row.job === name)!;
      await assertRestoresFrom(center, agent, newest.id, `/home/ann/${name}`);
    }
  }
}

/** How many operations the undisturbed night has, from the first that the prepared fleet does. */
export async function countOperations(seed: number | string): Promise<{ from: number; to: number }> {
  const night = new SeedNight(seed);
  await night.prepare();
  const from = night.simulation.operations.count;
  await night.run();
  const to = night.simulation.operations.count;
  await night.check();
  return { from, to };
}

/** The night with a power loss of whoever does operation `index`, right before or after it. */
export async function crashAt(seed: number | string, index: number, when: 'before' | 'after'): Promise<void> {
  const night = new SeedNight(seed);
  await night.prepare();
  night.fleet.crashAt(index, when);
  await night.run();
  await night.check();
}
