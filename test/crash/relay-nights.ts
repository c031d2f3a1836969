import assert from 'node:assert/strict';
import { copiesOf } from '../../src/ledger/copies.ts';
import { listSnapshots, spooledSnapshots } from '../../src/ledger/snapshots.ts';
import type { ErrorCode } from '../../src/model/errors.ts';
import type { ClientId, SnapshotId } from '../../src/model/ids.ts';
import { type Limits, tinyLimits } from '../../src/model/limits.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/model/time.ts';
import type { MessageFace, Tampering } from '../../src/sim/call.ts';
import type { ListedEntry } from '../../src/sim/file-listing.ts';
import type { Machine } from '../../src/sim/machine.ts';
import type { AgentMachine } from '../../src/sim/machines.ts';
import type { Recorded } from '../../src/sim/monitor.ts';
import type { RandomStream } from '../../src/sim/random.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import { assertRestoresFrom } from './checks.ts';
import { Country, type CountryOptions, type MeddleBetween } from './country.ts';
import { type Hardship, hardshipOf } from './hardships.ts';
import { isVoidAt, openCopies, RelayChecks } from './relay-checks.ts';

const START = Date.UTC(2026, 2, 2, 12);
const TROUBLE_END = START + 72 * HOUR_MS;
const LAST_BACKUP = TROUBLE_END + 24 * HOUR_MS;
/** After the last backup, and the last hardship, no more time than this passes without less being under way: small stores drain night by night. */
const END_MS = 72 * HOUR_MS;
const AUDIT_MS = 6 * HOUR_MS;
/** One in so many messages is lost, and one in so many requests comes twice. */
const MESSAGES_PER_FAULT = 400;

/** No disk is damaged here and no relay is lost. */
const UNTRUE_ALARMS: readonly ErrorCode[] = [
  'crashed',
  'custody-lost',
  'block-unavailable',
  'damaged-block',
  'damaged-manifest',
  'damaged-page',
  'center-went-back',
];

/**
 * Answers of a fleet are longer than those of one machine; and where nothing happens it does not ask so often, or most of
 * a week is questions.
 */
const LIMITS: Limits = {
  ...tinyLimits,
  page_rows: 40,
  ids_per_message: 64,
  ask_ms: 4 * HOUR_MS,
  retry_ms_max: 20 * MINUTE_MS,
  plan_interval_ms: 20 * MINUTE_MS,
  foresee_ms: HOUR_MS,
  gather_ms: 30 * SECOND_MS,
};
/** One fleet in four rests no longer than in production: then more comes between. */
const limitsOf = (seed: number | string): Limits =>
  Number(seed) % 4 === 0 ? { ...LIMITS, gather_ms: tinyLimits.gather_ms } : LIMITS;

/**
 * Five nights of a country of machines: three with power losses at any moment of any machine, dead lines at every hop, lost and
 * doubled messages, full spools and stores; then quiet ones. Nothing may be freed, claimed or sent that must not be; in
 * the end everything is safe at every center that it is owed to, and everything in between is empty.
 */
export class RelayNights {
  readonly simulation: Simulation;
  readonly country: Country;
  readonly counts = { crashes: 0, cuts: 0, faults: 0, taken: 0, freed: 0, audits: 0, restored: 0 };
  readonly #options: CountryOptions;
  readonly #random: RandomStream;
  readonly #checks: RelayChecks;
  readonly #hardship: Hardship;
  readonly #taken = new Map<SnapshotId, readonly ListedEntry[]>();
  readonly #onCustody = new Set<SnapshotId>();
  #quiet = false;

  constructor(seed: number | string, options: CountryOptions) {
    this.simulation = new Simulation({ seed, start: START, limits: limitsOf(seed) });
    const meddle: MeddleBetween = (from, api, to) => this.#hardship.meddle(from, api, to);
    this.country = new Country(this.simulation, meddle);
    this.#options = options;
    this.#hardship = hardshipOf(options.hardship ?? 'none', {
      country: this.country,
      random: this.simulation.stream('hardship'),
      start: START,
      quietFrom: TROUBLE_END,
    });
    this.#random = this.simulation.stream('workload');
    this.#checks = new RelayChecks(this.country, {
      onCustody: (id) => this.#onCustody.has(id),
      isLost: (relay) => !this.country.relays.includes(relay),
    });
  }

  async run(): Promise<void> {
    this.#watch();
    await this.country.build(this.#options);
    this.#hardship.begin();
    await this.#troubledNights();
    await this.#quietNights();
    await this.#checkEnd();
  }

  #watch(): void {
    this.simulation.recorder.listen((record) => this.#heard(record));
    this.country.fleet.network.tamper((message) => this.#tamper(message));
  }

  #heard({ what, node, ...record }: Recorded): void {
    if (what !== 'event' || !('event' in record)) return;
    const { event } = record;
    if (event.kind === 'taken') this.#noteTaken(node, event.snapshot);
    if (event.kind === 'reception') this.#noteOwner(event.client, event.snapshot);
    if (event.kind === 'freed') this.#noteFreed(node, event.snapshot);
    if (
      event.kind === 'alarm' &&
      UNTRUE_ALARMS.includes(event.code) &&
      !this.#hardship.excuses(node, event.code)
    ) {
      this.simulation.fail(new Error(`${node} says ${event.code}, and nothing is: ${event.message}`));
    }
    const problem =
      event.kind === 'freed'
        ? this.#checks.freed(node, event.snapshot)
        : event.kind === 'committed'
          ? this.#checks.committed(node, event.snapshot)
          : null;
    if (problem !== null) this.simulation.fail(new Error(problem));
  }

  #noteTaken(name: string, snapshot: SnapshotId): void {
    this.counts.taken++;
    const agent = this.country.fleet.agents.get(name)!;
    this.#taken.set(snapshot, agent.node.files.tree('/home'));
  }

  #noteOwner(client: ClientId, snapshot: SnapshotId): void {
    this.#noteWish(
      this.country.agents.find(({ identity }) => identity.client === client),
      snapshot,
    );
  }

  #noteFreed(name: string, snapshot: SnapshotId): void {
    this.counts.freed++;
    // A relay that loses power as it takes something has it, and has told nobody.
    this.#noteWish(this.country.fleet.agents.get(name), snapshot);
  }

  #noteWish(owner: AgentMachine | undefined, snapshot: SnapshotId): void {
    if (owner?.jobs[0]?.freeAfter === 'custody') this.#onCustody.add(snapshot);
  }

  #tamper(message: MessageFace): Tampering {
    const problem = this.country.windows.problemOf(message, this.simulation.now);
    if (problem !== null) this.simulation.fail(new Error(problem));
    if (this.#quiet) return undefined;
    const draw = this.#random.below(2 * MESSAGES_PER_FAULT);
    if (draw > 1) return undefined;
    this.counts.faults++;
    return draw === 0 ? 'lose' : { againAfterMs: this.#random.below(20 * SECOND_MS) };
  }

  async #troubledNights(): Promise<void> {
    const every = (2 * HOUR_MS) / this.country.fleet.agents.size;
    for (let at = START; at < TROUBLE_END; at += every) {
      this.simulation.at(at + this.#random.below(every), () => this.#trouble());
    }
    await this.#runAndAudit(TROUBLE_END);
  }

  async #quietNights(): Promise<void> {
    this.#quiet = true;
    for (const { from, to } of this.country.hops) this.country.fleet.network.join(from, to);
    await this.#runAndAudit(LAST_BACKUP);
    await this.#endBackups();
    await this.#runAndAudit(this.#hardship.until);
    await this.simulation.finish(this.#hardship.end());
    let [open, until] = [Infinity, 0];
    for (;;) {
      const left = (await this.#openThings()).length;
      const { now } = this.simulation;
      if (left < open) [open, until] = [left, now + END_MS];
      if (left === 0 || now >= until) return;
      await this.#runAndAudit(now + AUDIT_MS);
      await this.#endBackups();
    }
  }

  /** Only when the last part of a backup has come is what could not be collected before it closed. */
  async #endBackups(): Promise<void> {
    for (const agent of this.country.agents) {
      if (agent.running === null) continue;
      const [newest] = await this.simulation.finish(listSnapshots(agent.running.parts.ledger.db));
      if (newest?.complete !== 0) agent.jobs = [];
    }
  }

  async #runAndAudit(until: number): Promise<void> {
    while (this.simulation.now < until) {
      await this.simulation.run({ until: Math.min(until, this.simulation.now + AUDIT_MS) });
      await this.#quietly(() => this.#hardship.look());
      this.counts.audits++;
      await this.#quietly(() =>
        this.simulation.finish(this.#checks.audit(), this.simulation.now + MINUTE_MS),
      );
    }
  }

  /** A machine that lost its power amid `work` would never answer it. */
  async #quietly(work: () => Promise<void>): Promise<void> {
    const wasQuiet = this.#quiet;
    this.#quiet = true;
    await work();
    this.#quiet = wasQuiet;
  }

  #trouble(): void {
    const { relays, centers, agents } = this.country;
    const random = this.#random;
    const draw = random.below(10);
    if (draw < 5) return this.#edit(random.pick(agents));
    const machines: Machine<unknown>[] = random.below(2) === 0 ? agents : [...relays, ...centers];
    if (draw < 7) this.#powerLoss(random.pick(machines));
    else if (draw < 9) this.#cut();
    else this.#crashSoon(random.pick(machines));
  }

  #edit(agent: AgentMachine): void {
    const random = this.#random;
    const { files } = agent.node;
    const path = `/home/f${random.below(6)}`;
    if (files.exists(path) && random.below(4) === 0) files.remove(path);
    else
      files.write(path, { seed: random.below(1e9), size: random.below(random.pick([500, 5_000, 60_000])) });
  }

  #powerLoss(machine: Machine<unknown>): void {
    if (!machine.node.running) return;
    this.counts.crashes++;
    machine.crash();
    this.#bootLater(machine, 2 * HOUR_MS);
  }

  #bootLater(machine: Machine<unknown>, within: number): void {
    this.simulation.after(this.#random.below(within), () => {
      if (!machine.node.running && !this.#hardship.isDown(machine)) machine.boot();
    });
  }

  /** Before or after one of the next things that it changes. */
  #crashSoon(machine: Machine<unknown>): void {
    let left = this.#random.below(200);
    const end = this.simulation.observe((operation) => {
      if (operation.node !== machine.name || this.#quiet || !operation.changes || left-- > 0)
        return undefined;
      end();
      this.counts.crashes++;
      machine.running = null;
      this.#bootLater(machine, 10 * MINUTE_MS);
      return this.#random.below(2) === 0 ? 'crash-before' : 'crash-after';
    });
  }

  #cut(): void {
    this.counts.cuts++;
    const { from, to } = this.#random.pick(this.country.hops);
    const { network } = this.country.fleet;
    if (this.#random.below(3) === 0) network.cut(from, to);
    else network.part(from, to);
    this.simulation.after(this.#random.below(3 * HOUR_MS), () => network.join(from, to));
  }

  async #openThings(): Promise<string[]> {
    const { agents, relays } = this.country;
    const open: string[] = [];
    for (const agent of agents) open.push(...(await this.simulation.finish(openCopies(agent))));
    for (const relay of relays) {
      const held = await this.simulation.finish(spooledSnapshots(relay.running!.ledger.db));
      open.push(
        ...held.map(
          ({ id, client, sequence }) =>
            `${relay.name} holds ${id.slice(0, 12)} (#${sequence} of ${client.slice(0, 8)})`,
        ),
      );
    }
    return open;
  }

  async #checkEnd(): Promise<void> {
    assert.deepEqual(await this.#openThings(), [], 'everything is where it is owed, and drained');
    this.#checkSecrets();
    for (const center of this.country.centers) {
      center.crash();
      center.boot();
      await this.simulation.runUntil(() => center.running !== null, this.simulation.now + HOUR_MS);
    }
    for (const agent of this.country.agents) await this.#checkAgent(agent);
  }

  /** The newest of each machine, and one drawn from the others, at each center alone. */
  async #checkAgent(agent: AgentMachine): Promise<void> {
    const { db } = agent.running!.parts.ledger;
    const rows = (await this.simulation.finish(listSnapshots(db))).filter(
      ({ id, complete }) => complete === 1 && !isVoidAt(agent, id) && this.#taken.has(id),
    );
    // With a center away, a small spool may be full of the first part of a first backup all the time.
    const alarms = this.simulation.recorder.events('alarm', agent.name);
    assert.ok(
      rows.length > 0 || alarms.some(({ code }) => code === 'quota-full'),
      `${agent.name} took something`,
    );
    const others = rows.slice(1);
    const drawn = others.length === 0 ? [] : [this.#random.pick(others)];
    for (const row of [...rows.slice(0, 1), ...drawn]) {
      const copies = await this.simulation.finish(copiesOf(db, row.id));
      for (const center of this.country.owedBy(agent)) {
        assert.equal(copies.find((copy) => copy.center === center.face.id)?.phase, 'safe');
        await assertRestoresFrom(center, agent, row.id, '/home', this.#taken.get(row.id));
        this.counts.restored++;
      }
    }
  }

  /** P5: no key of any machine, and nothing that it wrote, is anywhere on a relay's disk. */
  #checkSecrets(): void {
    const secrets = this.country.agents.flatMap(({ identity }) => {
      const { domainKey } = identity.keyring.keys.newest;
      return [Buffer.from(domainKey), Buffer.from(identity.keyring.ringKey)];
    });
    for (const { name, node } of this.country.relays) {
      for (const path of node.disk.paths()) {
        const bytes = Buffer.from(node.disk.bytesOf(path));
        for (const secret of secrets) assert.ok(!bytes.includes(secret), `${name} has a key in ${path}`);
      }
    }
  }
}
