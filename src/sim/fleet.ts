import type { Conditions } from '../collect/parts.ts';
import {
  AgentMachine,
  type AgentMachineOptions,
  CenterMachine,
  RelayMachine,
  type RelayMachineOptions,
} from './machines.ts';
import { Network } from './network.ts';
import { SimulatedNode } from './node.ts';
import type { Simulation } from './simulation.ts';

/** A machine that crashed is up again after this. */
const REBOOT_MS = 30_000;

/** Centers, relays and agents on simulated machines, and the network between them. */
export class Fleet {
  readonly simulation: Simulation;
  readonly network: Network;
  readonly centers = new Map<string, CenterMachine>();
  readonly relays = new Map<string, RelayMachine>();
  readonly agents = new Map<string, AgentMachine>();

  readonly #blockBytes = new Map<string, number>();

  constructor(simulation: Simulation) {
    this.simulation = simulation;
    this.network = new Network(simulation);
    this.network.tamper(({ from, method, direction, kind, bytes }) => {
      const counts = method === 'blocks' && direction === 'there' && kind === 'item';
      if (counts) this.#blockBytes.set(from, this.blockBytesFrom(from) + bytes);
      return undefined;
    });
  }

  /** Bytes that a machine sent in block streams, with what each message costs. */
  blockBytesFrom(machine: string): number {
    return this.#blockBytes.get(machine) ?? 0;
  }

  async addCenter(name: string, conditions: Conditions): Promise<CenterMachine> {
    const center = new CenterMachine(
      new SimulatedNode(this.simulation, { name, zone: conditions.zone }),
      conditions,
    );
    this.centers.set(name, center);
    center.boot();
    await this.simulation.runUntil(() => center.running !== null, Infinity);
    return center;
  }

  async addRelay(name: string, options: RelayMachineOptions): Promise<RelayMachine> {
    const node = new SimulatedNode(this.simulation, { name, zone: options.conditions.zone });
    const relay = new RelayMachine(node, this.network, options);
    this.relays.set(name, relay);
    await this.simulation.finish(relay.enroll());
    relay.boot();
    await this.simulation.runUntil(() => relay.running !== null, Infinity);
    return relay;
  }

  async addAgent(name: string, zone: string, options: AgentMachineOptions): Promise<AgentMachine> {
    const agent = new AgentMachine(new SimulatedNode(this.simulation, { name, zone }), this.network, options);
    this.agents.set(name, agent);
    await this.simulation.finish(agent.enroll());
    agent.boot();
    await this.simulation.runUntil(() => agent.running !== null, Infinity);
    return agent;
  }

  machine(name: string): CenterMachine | RelayMachine | AgentMachine {
    const machine = this.centers.get(name) ?? this.relays.get(name) ?? this.agents.get(name);
    if (machine === undefined) throw new TypeError(`there is no machine ${name}`);
    return machine;
  }

  /** Whoever does operation `index` loses power right before or after it, and is up again half a minute later. */
  crashAt(index: number, when: 'before' | 'after'): void {
    this.simulation.observe((operation) => {
      if (operation.index !== index) return undefined;
      const machine = this.machine(operation.node);
      machine.running = null;
      this.simulation.after(REBOOT_MS, () => machine.boot());
      return `crash-${when}`;
    });
  }

  /** Names for transcripts. */
  names(): ReadonlyMap<string, string> {
    const names = new Map<string, string>();
    for (const { face } of this.centers.values()) names.set(face.id, face.name);
    for (const { face, identity } of this.relays.values()) {
      names.set(face.id, face.name);
      names.set(identity.client, face.name);
    }
    for (const { identity } of this.agents.values()) names.set(identity.client, identity.name);
    return names;
  }
}
