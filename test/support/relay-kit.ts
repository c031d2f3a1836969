import type { Conditions } from '../../src/collect/parts.ts';
import { copiesOf } from '../../src/ledger/copies.ts';
import { updateJob } from '../../src/ledger/jobs.ts';
import { listSnapshots } from '../../src/ledger/snapshots.ts';
import type { Hop } from '../../src/model/exchange.ts';
import type { SnapshotId } from '../../src/model/ids.ts';
import { pathKeyOf } from '../../src/model/paths.ts';
import { agentSources, findManifest } from '../../src/node/agent/sources.ts';
import { relayUsage } from '../../src/node/relay/store.ts';
import { spoolBytes } from '../../src/node/agent/spool.ts';
import { loadCosts, saveCosts } from '../../src/node/agent/source-costs.ts';
import { restoreSnapshot } from '../../src/restore/restore.ts';
import type { RestoreReport } from '../../src/restore/restore-plan.ts';
import { Fleet } from '../../src/sim/fleet.ts';
import { leaveOne, type Meddle, type NodeMachine } from '../../src/sim/joining.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../../src/sim/machines.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import { jobOf, NEVER, NOON } from './fleet-kit.ts';

export const OPEN: Conditions = { windows: 'any', zone: 'UTC', streams: 2 };

/** Centers, relays and agents that a test puts together. */
export class RelayKit {
  readonly simulation: Simulation;
  readonly fleet: Fleet;

  constructor(seed: string | number = 1) {
    this.simulation = new Simulation({ seed, start: NOON });
    this.fleet = new Fleet(this.simulation);
  }

  async center(name: string, conditions: Partial<Conditions> = {}): Promise<CenterMachine> {
    return await this.fleet.addCenter(name, { ...OPEN, ...conditions });
  }

  async relay(
    name: string,
    upstreams: readonly NodeMachine[],
    changes: Partial<RelayMachine['options']> = {},
  ): Promise<RelayMachine> {
    const transfer = { windows: 'any', zone: 'UTC' };
    const sizes = { storeBytes: 8 << 20, cacheBytes: 0 };
    return await this.fleet.addRelay(name, { upstreams, conditions: OPEN, transfer, ...sizes, ...changes });
  }

  /** With two files and a job by hand. */
  async agent(name: string, above: readonly NodeMachine[], meddle?: Meddle): Promise<AgentMachine> {
    const agent = await this.fleet.addAgent(name, 'UTC', { centers: above, spoolBytes: 4 << 20, meddle });
    agent.node.files.makeDirectory('/home');
    this.write(agent, 'a', 60_000);
    this.write(agent, 'b', 30_000);
    agent.jobs = [jobOf()];
    return agent;
  }

  write(agent: AgentMachine, name: string, size: number): void {
    const seed = `${agent.name} ${name} ${size} ${this.simulation.now}`;
    agent.node.files.write(`/home/${name}`, { seed, size });
  }

  /** Takes one backup now; resolves when it is in the spool. */
  async take(agent: AgentMachine): Promise<SnapshotId> {
    return (await this.finish(agent.running!.take('home', NEVER))).signed.id;
  }

  /** The machine goes on with other ways up than before. */
  async rejoin(agent: AgentMachine, above: readonly NodeMachine[]): Promise<AgentMachine> {
    await agent.shutDown();
    Object.assign(agent.options, { centers: above });
    await this.finish(agent.enroll());
    await this.boot(agent);
    return agent;
  }

  /** As `lowtide agent leave` does; the machine goes on with what else it has joined. Says why it could not be told, if so. */
  async leave(machine: AgentMachine | RelayMachine, from: NodeMachine): Promise<string> {
    const { options } = machine;
    const isOther = (node: NodeMachine): boolean => node !== from;
    const forget = (): void =>
      void ('upstreams' in options
        ? Object.assign(options, { upstreams: options.upstreams.filter(isOther) })
        : Object.assign(options, { centers: options.centers.filter(isOther) }));
    const untold = await this.finish(leaveOne(machine.running!, machine.identity, from, forget));
    await this.restart(machine);
    return untold;
  }

  async boot(machine: AgentMachine | CenterMachine | RelayMachine): Promise<void> {
    machine.boot();
    await this.simulation.runUntil(() => machine.running !== null, this.simulation.now + 60_000);
  }

  async restart(machine: AgentMachine | CenterMachine | RelayMachine): Promise<void> {
    await machine.shutDown();
    await this.boot(machine);
  }

  async pass(ms: number): Promise<void> {
    await this.simulation.run({ for: ms });
  }

  async finish<T>(promise: Promise<T>): Promise<T> {
    return await this.simulation.finish(promise);
  }

  /** As `lowtide restore` does, with what was measured remembered. */
  async restore(agent: AgentMachine, id: SnapshotId, to: string): Promise<RestoreReport> {
    const { parts } = agent.running!;
    const work = async (): Promise<RestoreReport> => {
      const costs = await loadCosts(parts.ledger);
      const plan = {
        signed: await findManifest(parts, id),
        keys: parts.identity.keyring.keys,
        sources: agentSources(parts, costs),
        target: pathKeyOf(to),
        paths: [],
        overwrite: 'always',
        owners: 'numbers',
      } as const;
      const report = await restoreSnapshot(parts.world, plan, NEVER);
      await saveCosts(parts.ledger, costs.known);
      return report;
    };
    return await this.finish(work());
  }

  /** `home#1 tokyo: safe` for every copy that the agent knows of, oldest first. */
  async states(agent: AgentMachine): Promise<string[]> {
    const { db } = agent.running!.parts.ledger;
    const names = new Map([...this.fleet.centers.values()].map(({ face, name }) => [face.id, name]));
    const lines: string[] = [];
    for (const row of await this.finish(listSnapshots(db))) {
      for (const { center, phase, code } of await this.finish(copiesOf(db, row.id))) {
        const why = phase === 'held' || phase === 'waiting' ? '' : code;
        lines.push(`${row.job}#${row.sequence} ${names.get(center)}: ${phase} ${why}`.trimEnd());
      }
    }
    return lines.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  }

  /** Names of the nodes that a snapshot came through, the agent's neighbour first. */
  async hops(agent: AgentMachine, id: SnapshotId): Promise<string[]> {
    const [copy] = await this.finish(copiesOf(agent.running!.parts.ledger.db, id));
    return (JSON.parse(copy!.hops) as Hop[]).map(({ name }) => name);
  }

  async spooled(agent: AgentMachine): Promise<number> {
    return await this.finish(spoolBytes(agent.running!.parts));
  }

  async custody(relay: RelayMachine): Promise<number> {
    return (await this.finish(relayUsage(relay.running!.parts))).custody;
  }

  /** The next backup has no base. */
  async needEverything(agent: AgentMachine): Promise<void> {
    await this.finish(updateJob(agent.running!.parts.ledger.db, 'home', { full_needed: 1 }));
  }

  alarmCodes(machine: string): string[] {
    return this.simulation.recorder.events('alarm', machine).map(({ code }) => code);
  }
}

/** Blocks by source, those that gave none left out. */
export function givers({ bySource }: RestoreReport): Record<string, number> {
  const gave = bySource.filter(({ blocks }) => blocks > 0).map(({ name, blocks }) => [name, blocks] as const);
  return Object.fromEntries(gave);
}
