import { Depot } from '../depot/depot.ts';
import { centerIdOf, type SigningKey, signingKeyFromSeed } from '../format/signing.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { Job } from '../model/jobs.ts';
import type { Conditions } from '../collect/parts.ts';
import { Agent } from '../node/agent/agent.ts';
import type { AgentIdentity } from '../node/agent/parts.ts';
import { centersReached } from '../node/agent/parts.ts';
import { Center } from '../node/center/center.ts';
import { Relay } from '../node/relay/relay.ts';
import type { World } from '../world/ports.ts';
import { enrollAt, makeIdentity, type Meddle, type NodeMachine, waysTo } from './joining.ts';
import { Machine } from './machine.ts';
import type { Network } from './network.ts';
import type { SimulatedNode } from './node.ts';

const DATA = '/var/lib/lowtide';
export class CenterMachine extends Machine<Center> {
  readonly face: CenterFace;
  readonly centers: readonly CenterFace[];
  readonly #receiptKey: SigningKey;
  conditions: Conditions;

  constructor(node: SimulatedNode, conditions: Conditions) {
    super(node);
    this.#receiptKey = signingKeyFromSeed(node.simulation.stream('receipt key', node.name).bytes(32));
    const { publicKey } = this.#receiptKey;
    this.face = { id: centerIdOf(publicKey), kind: 'center', name: node.name, receiptKey: publicKey };
    this.centers = [this.face];
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

export interface RelayMachineOptions {
  readonly upstreams: readonly NodeMachine[];
  readonly conditions: Conditions;
  readonly transfer: { readonly windows: string; readonly zone: string };
  readonly storeBytes: number;
  readonly cacheBytes: number;
  readonly meddle?: Meddle | undefined;
}

export class RelayMachine extends Machine<Relay> {
  readonly face: CenterFace;
  readonly centers: readonly CenterFace[];
  readonly identity: AgentIdentity;
  options: RelayMachineOptions;
  readonly #receiptKey: SigningKey;
  readonly #network: Network;

  constructor(node: SimulatedNode, network: Network, options: RelayMachineOptions) {
    super(node);
    this.#receiptKey = signingKeyFromSeed(node.simulation.stream('receipt key', node.name).bytes(32));
    const { publicKey } = this.#receiptKey;
    this.face = { id: centerIdOf(publicKey), kind: 'relay', name: node.name, receiptKey: publicKey };
    this.identity = makeIdentity(node);
    this.options = options;
    this.#network = network;
    this.centers = centersReached(options.upstreams.map(({ face, centers }) => ({ face, centers, connect })));
  }

  /** Joins what is above, as `relay join` does with a token. */
  async enroll(): Promise<void> {
    await enrollAt(this.options.upstreams, this.identity, this.face.id);
  }

  protected async open(world: World): Promise<Relay> {
    if ((await world.disk.stat(`${DATA}/store/config`)) === null) await Relay.create(world, DATA);
    const { face, identity, options } = this;
    const { conditions, transfer, storeBytes, cacheBytes, upstreams, meddle } = options;
    const settings = {
      software: 'lowtide sim',
      conditions,
      transfer,
      yield: false,
      storeBytes,
      cacheBytes,
      centers: [],
    };
    const { client, name } = identity;
    const ways = waysTo(upstreams, { world, network: this.#network, client, name, meddle });
    const keys = { face, receiptKey: this.#receiptKey, identity };
    return await Relay.open(world, { path: DATA, ...keys, settings, upstreams: ways });
  }

  protected async live(relay: Relay, stop: AbortSignal): Promise<void> {
    await relay.run(stop);
  }

  protected async close(relay: Relay): Promise<void> {
    await relay.close();
  }
}

const connect = (): never => {
  throw new TypeError('only where it leads counts');
};

export interface AgentMachineOptions {
  /** What it has joined: centers and relays. */
  readonly centers: readonly NodeMachine[];
  readonly spoolBytes: number;
  /** Of a key domain that it shares with others. */
  readonly domainKey?: Uint8Array;
  /** Stands between the agent and a center, for one that misbehaves. */
  readonly meddle?: Meddle | undefined;
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
    this.identity = makeIdentity(node, options.domainKey);
  }

  /** Joins what is above, as `agent join` does with a token. */
  async enroll(): Promise<void> {
    await enrollAt(this.options.centers, this.identity, null);
  }

  protected async open(world: World): Promise<Agent> {
    if ((await world.disk.stat(`${DATA}/spool/config`)) === null) await Depot.create(world, `${DATA}/spool`);
    const settings = {
      software: 'lowtide sim',
      host: this.name,
      spoolBytes: this.options.spoolBytes,
      compressionLevel: 1,
      yield: false,
      jobs: async () => this.jobs,
    };
    const { centers, meddle } = this.options;
    const upstreams = waysTo(centers, {
      world,
      network: this.#network,
      client: this.identity.client,
      name: this.name,
      meddle,
    });
    return await Agent.open(world, { path: DATA, identity: this.identity, settings, upstreams });
  }

  protected async live(agent: Agent, stop: AbortSignal): Promise<void> {
    await agent.run(stop);
  }

  protected async close(agent: Agent): Promise<void> {
    await agent.close();
  }
}
