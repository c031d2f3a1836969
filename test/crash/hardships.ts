import assert from 'node:assert/strict';
import { copiesOf } from '../../src/ledger/copies.ts';
import { liveMembers } from '../../src/ledger/live-members.ts';
import { listMembers } from '../../src/ledger/members.ts';
import { listSnapshots } from '../../src/ledger/snapshots.ts';
import { type ErrorCode, isFull } from '../../src/model/errors.ts';
import type { CenterId } from '../../src/model/ids.ts';
import { DAY_MS, HOUR_MS, type UnixMillis } from '../../src/model/time.ts';
import type { CenterApi } from '../../src/protocol/center-api.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../../src/sim/machines.ts';
import type { RandomStream } from '../../src/sim/random.ts';
import type { Country } from './country.ts';
import { Liar } from './liar.ts';

export type HardshipName = 'none' | 'moving' | 'center-away' | 'relay-lost' | 'hostile-relay';

/** What befalls a country beside power losses and dead lines. */
export interface Hardship {
  /** Before then nothing can be expected to end well. */
  readonly until: UnixMillis;
  /** The country is built, and its time begins. */
  begin(): void;
  /** Now and then, while no time passes. */
  look(): Promise<void>;
  /** When its time is over. */
  end(): Promise<void>;
  isDown(machine: object): boolean;
  /** Whether an alarm of this machine may be true. */
  excuses(name: string, code: ErrorCode): boolean;
  meddle(from: string, api: CenterApi, to: string): CenterApi;
}

export interface HardshipStage {
  readonly country: Country;
  readonly random: RandomStream;
  readonly start: UnixMillis;
  /** From this time on there is no trouble. */
  readonly quietFrom: UnixMillis;
}

export function hardshipOf(name: HardshipName, stage: HardshipStage): Hardship {
  if (name === 'moving') return new Moving(stage);
  if (name === 'center-away') return new CenterAway(stage);
  if (name === 'relay-lost') return new RelayLost(stage);
  return name === 'hostile-relay' ? new HostileRelay(stage) : new NoHardship(stage);
}

class NoHardship implements Hardship {
  protected readonly stage: HardshipStage;

  constructor(stage: HardshipStage) {
    this.stage = stage;
  }

  get until(): UnixMillis {
    return this.stage.quietFrom;
  }

  begin(): void {}
  async look(): Promise<void> {}
  async end(): Promise<void> {}

  isDown(_machine: object): boolean {
    return false;
  }

  excuses(_name: string, _code: ErrorCode): boolean {
    return false;
  }

  meddle(_from: string, api: CenterApi, _to: string): CenterApi {
    return api;
  }
}

/** Machines join other relays and leave those before, whether they reach these or lose their power amid it. */
class Moving extends NoHardship {
  /** What each is about to leave. */
  readonly #moving = new Map<AgentMachine, RelayMachine>();
  readonly #moved = new Set<string>();

  override async look(): Promise<void> {
    const { country, random, quietFrom } = this.stage;
    for (const [agent, from] of this.#moving) {
      if (agent.running === null) continue;
      this.#moving.delete(agent);
      this.#moved.add(agent.name);
      country.leave(agent, from);
    }
    if (country.fleet.simulation.now >= quietFrom) return;
    const agent = random.pick(country.agents);
    const { centers } = agent.options;
    const joined = country.shops.filter((shop) => centers.includes(shop));
    const others = country.shops
      .filter(({ running }) => running !== null)
      .filter((shop) => !centers.includes(shop));
    if (this.#moving.has(agent) || joined.length === 0 || others.length === 0) return;
    this.#moving.set(agent, random.pick(joined));
    if (agent.node.running) agent.crash();
    await country.join(agent, random.pick(others));
    agent.boot();
  }

  /** A machine counts on nothing that a relay which it has left has of it alone. */
  override excuses(name: string, code: ErrorCode): boolean {
    return code === 'custody-lost' && this.#moved.has(name);
  }

  /** Every node knows by which ways each machine comes, and by no others. */
  override async end(): Promise<void> {
    const { country } = this.stage;
    const joined = [...country.agents, ...country.relays].map((machine) => ({
      client: machine.identity.client,
      node: 'face' in machine ? machine.face.id : null,
      above: ('upstreams' in machine.options ? machine.options.upstreams : machine.options.centers).map(
        ({ face }) => face.id,
      ),
    }));
    const below = (node: CenterId): string[] =>
      joined
        .filter(({ above }) => above.includes(node))
        .flatMap(({ client, node: own }) => [client, ...(own === null ? [] : below(own))]);
    for (const { face, running, name } of [...country.centers, ...country.relays]) {
      const ways = new Set<string>();
      for (const { client, node } of joined.filter(({ above }) => above.includes(face.id))) {
        for (const each of [client, ...(node === null ? [] : below(node))]) ways.add(`${each} by ${client}`);
      }
      const live = liveMembers(await listMembers(running!.ledger.db));
      const known = new Set([...live].map(({ client, via }) => `${client} by ${via}`));
      assert.deepEqual([...known].sort(), [...ways].sort(), `the ways that ${name} knows`);
    }
  }
}

/** One center of several is away for a week. */
class CenterAway extends NoHardship {
  #away: CenterMachine | null = null;
  #from = 0;

  override get until(): UnixMillis {
    return this.#from + 7 * DAY_MS;
  }

  override begin(): void {
    const { country, random, start } = this.stage;
    const { simulation } = country.fleet;
    const away = random.pick(country.centers);
    this.#from = start + random.below(DAY_MS);
    simulation.at(this.#from, () => {
      this.#away = away;
      if (away.node.running) away.crash();
    });
  }

  override isDown(machine: object): boolean {
    return machine === this.#away;
  }

  /** The others went on: what waits does so because something was full, or for the one that is away. */
  override async end(): Promise<void> {
    const { country } = this.stage;
    const away = this.#away!;
    const { recorder } = country.fleet.simulation;
    const full = country.relays.some(({ name }) =>
      recorder.events('alarm', name).some(({ code }) => isFull(code)),
    );
    let safe = 0;
    for (const agent of country.agents) {
      if (agent.running === null) continue;
      const { db } = agent.running.parts.ledger;
      for (const row of await listSnapshots(db)) {
        if (row.taken_at < this.#from + HOUR_MS) continue;
        for (const copy of await copiesOf(db, row.id)) {
          if (copy.center === away.face.id) continue;
          if (copy.phase === 'safe') safe++;
          const open = copy.phase !== 'safe' && copy.phase !== 'void';
          assert.ok(
            !open || full,
            `${agent.name} waits for a center that was there: ${copy.phase} ${copy.code}`,
          );
        }
      }
    }
    assert.ok(safe > 0 || full, 'the other centers went on');
    this.#away = null;
    away.boot();
  }
}

/** A relay is lost for ever, and what had joined it joins another. */
class RelayLost extends NoHardship {
  #lost: RelayMachine | null = null;
  #at = 0;
  #homeless: AgentMachine[] = [];
  readonly #below = new Set<string>();

  override begin(): void {
    const { random, start } = this.stage;
    this.#at = start + 6 * HOUR_MS + random.below(2 * DAY_MS);
  }

  override async look(): Promise<void> {
    const { country, random } = this.stage;
    if (this.#lost === null && country.fleet.simulation.now >= this.#at) {
      this.#lost = random.pick(country.shops.filter((shop) => country.agentsBelow(shop).length > 0));
      this.#homeless = country.agentsBelow(this.#lost);
      for (const { name } of this.#homeless) this.#below.add(name);
      country.lose(this.#lost);
      return;
    }
    const open = country.shops.filter(({ running }) => running !== null);
    if (open.length === 0) return;
    for (const agent of this.#homeless.splice(0)) {
      if (agent.node.running) agent.crash();
      await country.move(agent, this.#lost!, random.pick(open));
      agent.boot();
    }
  }

  override isDown(machine: object): boolean {
    return machine === this.#lost;
  }

  /** What was freed on its word is gone, and says so. */
  override excuses(name: string, code: ErrorCode): boolean {
    return code === 'custody-lost' && this.#below.has(name);
  }
}

/** A relay lies to those below and above, until the quiet days. */
class HostileRelay extends NoHardship {
  #liar: Liar | null = null;
  #name = '';
  readonly #around = new Set<string>();

  override begin(): void {
    const { country, random, quietFrom } = this.stage;
    const relay = random.pick(country.shops.filter((shop) => country.agentsBelow(shop).length > 0));
    const below = country.agentsBelow(relay);
    this.#name = relay.name;
    const { simulation } = country.fleet;
    this.#liar = new Liar(random, () => simulation.now < quietFrom);
    // Somebody has found it out, and put an honest program in its place.
    simulation.at(quietFrom, () => {
      if (relay.node.running) relay.crash();
      relay.boot();
    });
    this.#around.add(relay.name);
    for (const { name } of [...below, ...relay.options.upstreams]) this.#around.add(name);
  }

  override excuses(name: string): boolean {
    return this.#around.has(name);
  }

  override async end(): Promise<void> {
    assert.ok(this.#liar!.told > 0, 'it lied');
  }

  override meddle(from: string, api: CenterApi, to: string): CenterApi {
    if (to === this.#name) return this.#liar!.below(api);
    return from === this.#name ? this.#liar!.above(api) : api;
  }
}
