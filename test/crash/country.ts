import type { CenterId } from '../../src/model/ids.ts';
import type { FreeAfter } from '../../src/model/jobs.ts';
import { Fleet } from '../../src/sim/fleet.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../../src/sim/machines.ts';
import { enrollAt, leaveOne, type NodeMachine } from '../../src/sim/joining.ts';
import type { RandomStream } from '../../src/sim/random.ts';
import type { CenterApi } from '../../src/protocol/center-api.ts';
import type { Simulation } from '../../src/sim/simulation.ts';
import { MINUTE_MS } from '../../src/model/time.ts';
import { type Hop, HopWindows } from './hop-windows.ts';
import { testJob } from './checks.ts';
import type { HardshipName } from './hardships.ts';

/** By day and by night on every hop; any two that meet on one hop are open together for some hours. */
const BELOW = ['any', '08:00-20:00', '06:00-22:00'];
const NIGHT = ['any', '20:00-08:00', '22:00-06:00'];
const AGENT = ['any', '09:00-18:00', '07:00-11:00, 12:00-21:00'];
const SLOW_BYTES_PER_SECOND = [3_000, 20_000, 200_000];

export interface CountryOptions {
  readonly agents: number;
  /** What befalls it beside power losses and dead lines (see hardships.ts). */
  readonly hardship?: HardshipName;
}

/** What the first is told by the other, and the other by it. */
export type MeddleBetween = (from: string, api: CenterApi, to: string) => CenterApi;

/** Three tiers, drawn from the seed: centers, branches that owe to all of them, relays, and many agents of all sizes. */
export class Country {
  readonly fleet: Fleet;
  readonly centers: CenterMachine[] = [];
  readonly relays: RelayMachine[] = [];
  readonly agents: AgentMachine[] = [];
  readonly hops: Hop[] = [];
  readonly windows = new HopWindows();
  readonly #random: RandomStream;
  readonly #branches: RelayMachine[] = [];
  readonly #transfers = new Map<string, string>();
  /** Stands on every line; what it changes nothing of is as if it were not there. */
  readonly #meddle: MeddleBetween;

  constructor(simulation: Simulation, meddle: MeddleBetween = (_from, api) => api) {
    this.fleet = new Fleet(simulation);
    this.#random = simulation.stream('country');
    this.#meddle = meddle;
  }

  async build({ agents, hardship }: CountryOptions): Promise<void> {
    const random = this.#random;
    const centers = hardship === 'center-away' ? [2, 3] : [1, 2, 2, 2, 3];
    for (const name of ['tokyo', 'sapporo', 'kyoto'].slice(0, random.pick(centers))) {
      const conditions = { windows: random.pick(NIGHT), zone: 'UTC', streams: 2 + random.below(3) };
      this.centers.push(await this.fleet.addCenter(name, conditions));
    }
    for (const name of ['east', 'west'].slice(0, 1 + random.below(2))) {
      this.#branches.push(await this.#addRelay(name, this.centers, random.pick(NIGHT)));
    }
    for (let at = 0, count = 3 + random.below(3); at < count; at++) {
      await this.#addRelay(`shop${at}`, this.#aboveShop(), random.pick(NIGHT));
    }
    for (let at = 0; at < agents; at++) {
      // Who frees on the word of a relay believes it, whatever it is.
      const freeAfter = random.below(5) === 0 && hardship !== 'hostile-relay' ? 'custody' : 'centers';
      await this.#addAgent(`pc${at}`, freeAfter);
    }
  }

  /** Whom this machine's snapshots are owed to. */
  owed(machine: { readonly centers: readonly { readonly id: CenterId }[] }): CenterMachine[] {
    return this.centers.filter(({ face }) => machine.centers.some(({ id }) => id === face.id));
  }

  owedBy(agent: AgentMachine): CenterMachine[] {
    return this.centers.filter(({ face }) =>
      agent.options.centers.some(({ centers }) => centers.some(({ id }) => id === face.id)),
    );
  }

  /** Relays that machines join: those below the branches. */
  get shops(): RelayMachine[] {
    return this.relays.filter((relay) => !this.#branches.includes(relay));
  }

  agentsBelow(relay: RelayMachine): AgentMachine[] {
    return this.agents.filter(({ options }) => options.centers.includes(relay));
  }

  /** It is no more. */
  lose(relay: RelayMachine): void {
    relay.crash();
    this.relays.splice(this.relays.indexOf(relay), 1);
    const left = this.hops.filter(({ from }) => from !== relay.name);
    this.hops.splice(0, this.hops.length, ...left);
  }

  /** Joins what is to take the place of what it had joined. The agent is not up, what it joins is. */
  async move(agent: AgentMachine, from: RelayMachine, to: RelayMachine): Promise<void> {
    this.#part(agent, from);
    await this.join(agent, to);
  }

  /** As `lowtide agent leave`, after which the agent begins anew; it is up, and may lose its power amid this. */
  leave(agent: AgentMachine, from: RelayMachine): void {
    const left = leaveOne(agent.running!, agent.identity, from, () => this.#part(agent, from));
    void left.then(() => {
      agent.crash();
      agent.boot();
    });
  }

  /** The agent is not up, what it joins is. */
  async join(agent: AgentMachine, to: RelayMachine): Promise<void> {
    const { centers } = agent.options;
    if (!centers.includes(to)) this.#join(agent.name, [to], this.#transfers.get(agent.name)!);
    Object.assign(agent.options, { centers: [...centers.filter((node) => node !== to), to] });
    const { simulation } = this.fleet;
    await simulation.finish(enrollAt([to], agent.identity, null), simulation.now + MINUTE_MS);
  }

  #part(agent: AgentMachine, from: RelayMachine): void {
    const hop = this.hops.findIndex((each) => each.from === agent.name && each.to === from.name);
    this.hops.splice(hop, 1);
    Object.assign(agent.options, { centers: agent.options.centers.filter((node) => node !== from) });
  }

  #aboveShop(): NodeMachine[] {
    const random = this.#random;
    const branch = random.pick(this.#branches);
    const draw = random.below(6);
    if (draw === 0) return this.#branches;
    return draw === 1 ? [branch, random.pick(this.centers)] : [branch];
  }

  async #addRelay(name: string, upstreams: readonly NodeMachine[], transfer: string): Promise<RelayMachine> {
    const random = this.#random;
    const relay = await this.fleet.addRelay(name, {
      upstreams,
      conditions: {
        windows: upstreams === this.centers ? random.pick(NIGHT) : random.pick(BELOW),
        zone: 'UTC',
        streams: 1 + random.below(4),
      },
      transfer: { windows: transfer, zone: 'UTC' },
      storeBytes: random.pick([1 << 20, 16 << 20, 64 << 20]),
      cacheBytes: random.pick([0, 100_000, 1 << 20]),
      meddle: (api, node) => this.#meddle(name, api, node.name),
    });
    this.relays.push(relay);
    this.#join(name, upstreams, transfer);
    return relay;
  }

  async #addAgent(name: string, freeAfter: FreeAfter): Promise<void> {
    const random = this.#random;
    const above: NodeMachine[] = [random.pick(this.shops)];
    const draw = random.below(12);
    if (draw === 0) above.push(random.pick(this.centers));
    if (draw === 1) above.push(random.pick(this.relays));
    const upstreams = [...new Set(above)];
    const spoolBytes = random.pick([120_000, 1 << 20, 4 << 20, 4 << 20]);
    const agent = await this.fleet.addAgent(name, 'UTC', {
      centers: upstreams,
      spoolBytes,
      meddle: (api, node) => this.#meddle(name, api, node.name),
    });
    agent.node.files.makeDirectory('/home');
    const files = random.pick([1, 1, 2, 3, 6]);
    for (let at = 0; at < files; at++) {
      const size = random.below(random.pick([500, 5_000, 60_000]));
      agent.node.files.write(`/home/f${at}`, { seed: `${name} ${at}`, size });
    }
    const transfer = random.pick(AGENT);
    this.#transfers.set(name, transfer);
    const hour = String(random.below(24)).padStart(2, '0');
    const job = testJob(
      'home',
      '/home',
      random.pick([`daily ${hour}:30`, `daily ${hour}:30`, 'every 8 h']),
      transfer,
    );
    agent.jobs = [{ ...job, freeAfter }];
    agent.running!.reschedule();
    this.agents.push(agent);
    this.#join(name, upstreams, transfer);
  }

  #join(name: string, upstreams: readonly NodeMachine[], transfer: string): void {
    for (const node of upstreams) {
      const hop = { from: name, to: node.name };
      this.hops.push(hop);
      this.windows.add(hop, transfer, () => this.#conditionsOf(node.name));
      if (this.#random.below(4) > 0) continue;
      const bytesPerSecond = this.#random.pick(SLOW_BYTES_PER_SECOND);
      this.fleet.network.setLine(name, node.name, { bytesPerSecond });
    }
  }

  #conditionsOf(name: string): string {
    return (
      this.fleet.centers.get(name)?.conditions.windows ??
      this.fleet.relays.get(name)!.options.conditions.windows
    );
  }
}
