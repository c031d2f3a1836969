import { Depot } from '../depot/depot.ts';
import { addSlot, newKeyring } from '../format/keyring-edit.ts';
import { signKeyring, type OpenKeyring } from '../format/keyring.ts';
import { centerIdOf, instanceIdOf, type SigningKey, signingKeyFromSeed } from '../format/signing.ts';
import { putClient } from '../ledger/clients.ts';
import { messageOf } from '../model/errors.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { ClientId } from '../model/ids.ts';
import type { Job } from '../model/jobs.ts';
import type { Conditions } from '../collect/parts.ts';
import { Agent } from '../node/agent.ts';
import type { AgentIdentity, Upstream } from '../node/agent-parts.ts';
import { Center } from '../node/center.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { World } from '../world/ports.ts';
import { type MethodKinds, Network } from './network.ts';
import { SimulatedNode } from './node.ts';
import type { Simulation } from './simulation.ts';

const DATA = '/var/lib/lowtide';
/** A machine that crashed is up again after this. */
const REBOOT_MS = 30_000;

const CENTER_METHODS: MethodKinds<CenterApi> = {
  hello: 'call',
  offer: 'call',
  enroll: 'call',
  orders: 'stream',
  missing: 'call',
  stored: 'call',
  blocks: 'stream',
  commit: 'call',
  copies: 'call',
  withdraw: 'call',
  fetch: 'stream',
};

/** One machine of a fleet and the node that runs on it, if it runs. */
export abstract class Machine<Running> {
  readonly node: SimulatedNode;
  /** What answers: null while booting or down. */
  running: Running | null = null;
  #stop = new AbortController();
  #life: Promise<void> = Promise.resolve();

  constructor(node: SimulatedNode) {
    this.node = node;
  }

  get name(): string {
    return this.node.name;
  }

  protected abstract open(world: World): Promise<Running>;
  protected abstract live(running: Running, stop: AbortSignal): Promise<void>;
  protected abstract close(running: Running): Promise<void>;

  /** Starts the node; it recovers first, then lives until `shutDown` or a crash. */
  boot(): void {
    const world = this.node.boot();
    const stop = new AbortController();
    this.#stop = stop;
    this.running = null;
    this.#life = this.#run(world, stop.signal).catch((error: unknown) => {
      this.node.simulation.fail(new Error(`${this.name}: ${messageOf(error)}`, { cause: error }));
    });
  }

  async #run(world: World, stop: AbortSignal): Promise<void> {
    const running = await this.open(world);
    this.running = running;
    await this.live(running, stop);
    this.running = null;
    await this.close(running);
  }

  /** The clean stop of a SIGTERM. */
  async shutDown(): Promise<void> {
    this.#stop.abort();
    await this.node.simulation.finish(this.#life);
    this.node.stop();
  }

  /** Power loss. */
  crash(): void {
    this.running = null;
    this.node.crash();
  }
}

export class CenterMachine extends Machine<Center> {
  readonly face: CenterFace;
  readonly #receiptKey: SigningKey;
  conditions: Conditions;

  constructor(node: SimulatedNode, conditions: Conditions) {
    super(node);
    this.#receiptKey = signingKeyFromSeed(node.simulation.stream('receipt key', node.name).bytes(32));
    const { publicKey } = this.#receiptKey;
    this.face = { id: centerIdOf(publicKey), kind: 'center', name: node.name, receiptKey: publicKey };
    this.conditions = conditions;
  }

  protected async open(world: World): Promise<Center> {
    if ((await world.disk.stat(`${DATA}/store/config`)) === null) await Center.create(world, DATA);
    const { face, conditions } = this;
    return await Center.open(world, { path: DATA, face, receiptKey: this.#receiptKey, conditions });
  }

  protected async live(center: Center, stop: AbortSignal): Promise<void> {
    await center.run(stop);
  }

  protected async close(center: Center): Promise<void> {
    await center.close();
  }
}

export interface AgentMachineOptions {
  readonly centers: readonly CenterMachine[];
  readonly spoolBytes: number;
  /** Stands between the agent and a center, for one that misbehaves. */
  readonly meddle?: (api: CenterApi, center: CenterMachine) => CenterApi;
}

export class AgentMachine extends Machine<Agent> {
  readonly identity: AgentIdentity;
  readonly options: AgentMachineOptions;
  readonly #network: Network;
  jobs: Job[] = [];

  constructor(node: SimulatedNode, network: Network, options: AgentMachineOptions) {
    super(node);
    this.#network = network;
    this.options = options;
    this.identity = makeIdentity(node);
  }

  /** Joins its centers, as `agent join` does with a token. */
  async enroll(): Promise<void> {
    const { client, name, signingKey } = this.identity;
    for (const { running } of this.options.centers) {
      if (running === null) throw new TypeError('enroll an agent while its center runs');
      const now = running.world.clock.now();
      const key = { instance_key: signingKey.publicKey, pass: '', enrolled_at: now };
      await putClient(running.ledger.db, { id: client, name, role: 'agent', ...key });
    }
  }

  protected async open(world: World): Promise<Agent> {
    if ((await world.disk.stat(`${DATA}/spool/config`)) === null) await Depot.create(world, `${DATA}/spool`);
    const settings = {
      software: 'lowtide sim',
      host: this.name,
      spoolBytes: this.options.spoolBytes,
      compressionLevel: 1,
      jobs: async () => this.jobs,
    };
    const upstreams = this.options.centers.map((center) => this.#upstream(world, center));
    return await Agent.open(world, { path: DATA, identity: this.identity, settings, upstreams });
  }

  protected async live(agent: Agent, stop: AbortSignal): Promise<void> {
    await agent.run(stop);
  }

  protected async close(agent: Agent): Promise<void> {
    await agent.close();
  }

  #upstream(world: World, center: CenterMachine): Upstream {
    const { meddle = (api) => api } = this.options;
    return {
      face: center.face,
      centers: [center.face],
      connect: async () =>
        meddle(
          this.#network.connect(world, center.node, () => this.#faceAt(center), CENTER_METHODS),
          center,
        ),
    };
  }

  #faceAt(center: CenterMachine): CenterApi | null {
    return center.running?.apiFor(this.identity.client, this.name) ?? null;
  }
}

/** Centers and agents on simulated machines, and the network between them. */
export class Fleet {
  readonly simulation: Simulation;
  readonly network: Network;
  readonly centers = new Map<string, CenterMachine>();
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

  async addAgent(name: string, zone: string, options: AgentMachineOptions): Promise<AgentMachine> {
    const agent = new AgentMachine(new SimulatedNode(this.simulation, { name, zone }), this.network, options);
    this.agents.set(name, agent);
    await this.simulation.finish(agent.enroll());
    agent.boot();
    await this.simulation.runUntil(() => agent.running !== null, Infinity);
    return agent;
  }

  machine(name: string): CenterMachine | AgentMachine {
    const machine = this.centers.get(name) ?? this.agents.get(name);
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
    for (const { identity } of this.agents.values()) names.set(identity.client, identity.name);
    return names;
  }
}

function makeIdentity(node: SimulatedNode): AgentIdentity {
  const random = node.simulation.stream('identity', node.name);
  const entropy = (length: number): Uint8Array => random.bytes(length);
  const signingKey = signingKeyFromSeed(entropy(32));
  const making = { entropy, limits: node.limits, now: node.simulation.start };
  const ring = newKeyring({ ...making, signingKey, storeSigningSeed: false });
  const withSlot = addSlot(ring, { kind: 'device', secret: entropy(32), label: 'device' }, making);
  const keyring: OpenKeyring = signKeyring(withSlot, signingKey);
  const instance = instanceIdOf(signingKey.publicKey);
  return { client: instance as string as ClientId, instance, name: node.name, signingKey, keyring };
}
