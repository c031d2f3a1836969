import { parsePackName } from '../../src/depot/pack-format.ts';
import { copiesOf } from '../../src/ledger/copies.ts';
import { historyOf } from '../../src/ledger/history.ts';
import { listSnapshots } from '../../src/ledger/snapshots.ts';
import type { SnapshotRow } from '../../src/ledger/tables.ts';
import type { SnapshotId } from '../../src/model/ids.ts';
import type { Job } from '../../src/model/jobs.ts';
import { spoolBytes } from '../../src/node/agent/spool.ts';
import { Fleet } from '../../src/sim/fleet.ts';
import type { AgentMachine, AgentMachineOptions, CenterMachine } from '../../src/sim/machines.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { Conditions } from '../../src/collect/parts.ts';

/** A Monday, at noon. */
export const NOON = Date.UTC(2026, 2, 2, 12);
export const NEVER = new AbortController().signal;
export const DATA = '/var/lib/lowtide';

export const jobOf = (changes: Partial<Job> = {}): Job => ({
  name: 'home',
  paths: ['/home'],
  excludes: [],
  excludeCaches: false,
  oneFileSystem: false,
  backup: 'manual',
  transfer: 'any',
  zone: 'UTC',
  centers: [],
  spool: 'files',
  freeAfter: 'centers',
  private: false,
  ...changes,
});

export interface SmallFleetOptions extends Partial<Omit<AgentMachineOptions, 'centers'>> {
  readonly seed?: string | number;
  readonly start?: number;
  readonly centers?: readonly string[];
  readonly conditions?: Partial<Conditions>;
  readonly job?: Partial<Job>;
}

/** One agent with a few files and a job by hand, and its centers. */
export class SmallFleet {
  readonly simulation: Simulation;
  readonly fleet: Fleet;
  readonly centers: CenterMachine[] = [];
  agent!: AgentMachine;

  private constructor(seed: string | number, start: number) {
    this.simulation = new Simulation({ seed, start });
    this.fleet = new Fleet(this.simulation);
  }

  static async make(options: SmallFleetOptions = {}): Promise<SmallFleet> {
    const {
      seed = 1,
      start = NOON,
      centers = ['oslo'],
      conditions,
      job,
      spoolBytes = 4 << 20,
      ...more
    } = options;
    const small = new SmallFleet(seed, start);
    for (const name of centers) {
      const all = { windows: 'any', zone: 'UTC', streams: 2, ...conditions };
      small.centers.push(await small.fleet.addCenter(name, all));
    }
    const agentOptions = { centers: small.centers, spoolBytes, ...more };
    small.agent = await small.fleet.addAgent('ann', 'UTC', agentOptions);
    small.agent.node.files.makeDirectory('/home');
    small.write('a', 20_000);
    small.write('b', 30_000);
    small.agent.jobs = [jobOf(job)];
    small.agent.running!.reschedule();
    return small;
  }

  get center(): CenterMachine {
    return this.centers[0]!;
  }

  get parts() {
    return this.agent.running!.parts;
  }

  /** Other content under this name of /home than ever before. */
  write(name: string, size: number): void {
    const seed = `${name} ${size} ${this.simulation.now}`;
    this.agent.node.files.write(`/home/${name}`, { seed, size });
  }

  /** Takes one backup now; resolves when it is in the spool. */
  async take(job = 'home'): Promise<SnapshotId> {
    const { signed } = await this.finish(this.agent.running!.take(job, NEVER));
    return signed.id;
  }

  async pass(ms: number): Promise<void> {
    await this.simulation.run({ for: ms });
  }

  async finish<T>(promise: Promise<T>): Promise<T> {
    return await this.simulation.finish(promise);
  }

  /** `home#1 oslo: safe` for every copy that the agent knows of, oldest first. */
  async states(): Promise<string[]> {
    const { db } = this.parts.ledger;
    const names = new Map(this.centers.map(({ face, name }) => [face.id, name]));
    const lines: string[] = [];
    for (const row of await this.rows()) {
      for (const { center, phase, code } of await this.finish(copiesOf(db, row.id))) {
        lines.push(`${row.job}#${row.sequence} ${names.get(center)}: ${phase} ${code}`.trimEnd());
      }
    }
    return lines.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  }

  /** Of the agent's ledger, in the order of their chains. */
  async rows(): Promise<SnapshotRow[]> {
    const rows = await this.finish(listSnapshots(this.parts.ledger.db));
    return rows.toSorted((a, b) => a.sequence - b.sequence);
  }

  async history(id: SnapshotId): Promise<string[]> {
    return (await this.finish(historyOf(this.parts.ledger.db, id))).map(({ what }) => what);
  }

  async spooled(): Promise<number> {
    return await this.finish(spoolBytes(this.parts));
  }

  /** `code: message` of the alarms that a machine has raised. */
  alarms(machine = 'ann'): string[] {
    return this.simulation.recorder
      .events('alarm', machine)
      .map(({ code, message }) => `${code}: ${message}`);
  }

  alarmCodes(machine = 'ann'): string[] {
    return this.simulation.recorder.events('alarm', machine).map(({ code }) => code);
  }

  /** A clean stop and up again. */
  async restart(machine: AgentMachine | CenterMachine): Promise<void> {
    await machine.shutDown();
    machine.boot();
    await this.simulation.runUntil(() => machine.running !== null, this.simulation.now + 60_000);
  }

  /** Paths of the packs of one group of the agent's spool. */
  packsOf(group: string): string[] {
    const { disk } = this.agent.node;
    const packs = disk.paths().filter((path) => {
      const [, name] = /\/spool\/packs\/(?:.*\/)?([^/]+)$/.exec(path) ?? [];
      return name !== undefined && parsePackName(name)?.group === group;
    });
    if (packs.length === 0) throw new Error(`there is no pack of group ${group}`);
    return packs;
  }

  /** Flips a bit of every stored block of one pack group of the agent's spool. */
  damageGroup(group: string): void {
    const { disk } = this.agent.node;
    for (const path of this.packsOf(group)) {
      const { length } = disk.bytesOf(path);
      for (let at = 200; at < length; at += 700) disk.corrupt(path, at, 0x10);
    }
  }
}
