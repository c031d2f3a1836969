import assert from 'node:assert/strict';
import { copiesOf } from '../../src/ledger/copies.ts';
import { listSnapshots } from '../../src/ledger/snapshots.ts';
import type { SnapshotRow } from '../../src/ledger/tables.ts';
import { HOUR_MS, MINUTE_MS } from '../../src/model/time.ts';
import { spoolBytes } from '../../src/node/agent/spool.ts';
import { Fleet } from '../../src/sim/fleet.ts';
import type { Machine } from '../../src/sim/machine.ts';
import type { AgentMachine, CenterMachine } from '../../src/sim/machines.ts';
import type { ListedEntry } from '../../src/sim/file-listing.ts';
import type { RandomStream } from '../../src/sim/random.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import { assertRestoresFrom, testJob } from './checks.ts';

const START = Date.UTC(2026, 2, 2, 12);
const TROUBLE_END = START + 72 * HOUR_MS;
const LAST_BACKUP = TROUBLE_END + 24 * HOUR_MS;
const END = LAST_BACKUP + 30 * HOUR_MS;
const WINDOWS = ['any', '00:00-03:00', '22:00-06:00', '12:00-13:00, 01:00-02:00'];

/**
 * Three days of random edits, power losses, dead lines and full spools on a small fleet; then two quiet days. Safety is
 * checked all along (nothing is freed that the center does not hold), liveness at the end (all is safe, spools empty).
 */
export class RandomNights {
  readonly simulation: Simulation;
  readonly #fleet: Fleet;
  readonly #random: RandomStream;
  readonly #agents: AgentMachine[] = [];
  #center!: CenterMachine;
  /** What each snapshot covers, as the file system was when it was taken. */
  readonly #taken = new Map<string, readonly ListedEntry[]>();
  readonly counts = { crashes: 0, cuts: 0, taken: 0, freed: 0 };

  constructor(seed: number | string) {
    this.simulation = new Simulation({ seed, start: START });
    this.#fleet = new Fleet(this.simulation);
    this.#random = this.simulation.stream('workload');
  }

  async run(): Promise<void> {
    await this.#prepare();
    for (let at = START; at < TROUBLE_END; at += 20 * MINUTE_MS) {
      this.simulation.at(at + this.#random.below(20 * MINUTE_MS), () => this.#trouble());
    }
    await this.simulation.run({ until: TROUBLE_END });
    for (const { name } of this.#agents) this.#fleet.network.join(name, 'center');
    await this.simulation.run({ until: LAST_BACKUP });
    for (const agent of this.#agents) agent.jobs = [];
    await this.simulation.run({ until: END });
    await this.#checkEnd();
  }

  async #prepare(): Promise<void> {
    const random = this.#random;
    const streams = 1 + random.below(2);
    this.#center = await this.#fleet.addCenter('center', {
      windows: random.pick(WINDOWS),
      zone: 'UTC',
      streams,
    });
    for (const name of ['ann', 'ben', 'cid'].slice(0, 1 + random.below(3))) {
      const spoolBytes = random.pick([120_000, 4 << 20]);
      const agent = await this.#fleet.addAgent(name, 'UTC', { centers: [this.#center], spoolBytes });
      agent.node.files.makeDirectory('/home');
      this.#edit(agent);
      const hour = String(random.below(24)).padStart(2, '0');
      agent.jobs = [testJob('home', '/home', random.pick([`daily ${hour}:30`, 'every 6 h']), 'any')];
      agent.running!.reschedule();
      this.#agents.push(agent);
    }
    this.simulation.recorder.listen((record) => {
      if (record.what !== 'event') return;
      if (record.event.kind === 'taken') this.#noteTaken(record.node, record.event.snapshot);
      if (record.event.kind === 'freed') this.#checkFreed(record.event.snapshot);
    });
  }

  #noteTaken(name: string, snapshot: string): void {
    this.counts.taken++;
    const agent = this.#agents.find((each) => each.name === name)!;
    this.#taken.set(snapshot, agent.node.files.tree('/home'));
  }

  /** P1: at the moment of freeing, the center's disk as a power loss would leave it holds the manifest. */
  #checkFreed(snapshot: string): void {
    this.counts.freed++;
    const held = this.#center.node.disk.paths().some((path) => path.endsWith(`/manifests/${snapshot}`));
    if (!held && !this.#isVoid(snapshot))
      this.simulation.fail(new Error(`${snapshot} was freed and the center lacks it`));
  }

  #isVoid(snapshot: string): boolean {
    return this.simulation.recorder.events('voided').some((event) => event.snapshot === snapshot);
  }

  #trouble(): void {
    const random = this.#random;
    const agent = random.pick(this.#agents);
    const machine: Machine<unknown> = random.below(3) === 0 ? this.#center : agent;
    const kind = random.below(10);
    if (kind < 5) this.#edit(agent);
    else if (kind < 7) this.#powerLoss(machine);
    else if (kind < 9) this.#cut(agent);
    else this.#crashSoon(machine);
  }

  #edit(agent: AgentMachine): void {
    const random = this.#random;
    const { files } = agent.node;
    const path = `/home/f${random.below(6)}`;
    if (files.exists(path) && random.below(4) === 0) files.remove(path);
    else files.write(path, { seed: random.below(1e9), size: random.below(60_000) });
  }

  #powerLoss(machine: Machine<unknown>): void {
    if (!machine.node.running) return;
    this.counts.crashes++;
    machine.crash();
    this.simulation.after(this.#random.below(HOUR_MS), () => machine.node.running || machine.boot());
  }

  /** In the middle of whatever it does next. */
  #crashSoon(machine: Machine<unknown>): void {
    let left = this.#random.below(60);
    const end = this.simulation.observe((operation) => {
      if (operation.node !== machine.name || left-- > 0) return undefined;
      end();
      this.counts.crashes++;
      machine.running = null;
      this.simulation.after(this.#random.below(10 * MINUTE_MS), () => machine.node.running || machine.boot());
      return this.#random.below(2) === 0 ? 'crash-before' : 'crash-after';
    });
  }

  #cut(agent: AgentMachine): void {
    this.counts.cuts++;
    this.#fleet.network.part(agent.name, 'center');
    this.simulation.after(this.#random.below(2 * HOUR_MS), () =>
      this.#fleet.network.join(agent.name, 'center'),
    );
  }

  async #checkEnd(): Promise<void> {
    this.#center.crash();
    this.#center.boot();
    await this.simulation.runUntil(() => this.#center.running !== null, END + HOUR_MS);
    for (const agent of this.#agents) await this.#checkAgent(agent);
  }

  async #checkAgent(agent: AgentMachine): Promise<void> {
    const { simulation } = this;
    const { parts } = agent.running!;
    const rows = await simulation.finish(listSnapshots(parts.ledger.db));
    assert.ok(rows.length > 0, `${agent.name} took something`);
    for (const row of rows) await this.#checkCopies(agent, row);
    assert.equal(await simulation.finish(spoolBytes(parts)), 0, `the spool of ${agent.name} is drained`);
    for (const row of rows) {
      const expected = this.#taken.get(row.id);
      if (row.complete === 0 || expected === undefined || this.#isVoid(row.id)) continue;
      await assertRestoresFrom(this.#center, agent, row.id, '/home', expected);
    }
  }

  async #checkCopies(agent: AgentMachine, row: SnapshotRow): Promise<void> {
    const copies = await this.simulation.finish(copiesOf(agent.running!.parts.ledger.db, row.id));
    for (const { phase, code } of copies) {
      assert.ok(
        phase === 'safe' || phase === 'void',
        `${agent.name} ${row.job}#${row.sequence} is ${phase} ${code}`,
      );
    }
  }
}
