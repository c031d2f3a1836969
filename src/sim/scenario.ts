import { copiesOf, findCopy } from '../ledger/copies.ts';
import { historyOf } from '../ledger/history.ts';
import { listSnapshots, resolveSnapshot } from '../ledger/snapshots.ts';
import type { SnapshotRow } from '../ledger/tables.ts';
import { LowtideError } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';
import type { Job } from '../model/jobs.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import { relayUsage } from '../node/relay/store.ts';
import { spoolBytes } from '../node/agent/spool.ts';
import { Fleet } from './fleet.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from './machines.ts';
import type { NodeState } from './node.ts';
import { restoreAndCompare } from './scenario-restore.ts';
import type { Command, ScenarioBlock } from './scenario-text.ts';
import { Simulation } from './simulation.ts';
import { transcript } from './transcript.ts';

const SIZES: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };
const SPANS: Readonly<Record<string, number>> = { s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS };

/** Runs one scenario script on a fleet of its own, command by command, and gives what each block printed. */
export class Scenario {
  fleet: Fleet | null = null;
  #zone = 'UTC';
  #told = 0;
  #seeds = 0;
  readonly #saved = new Map<string, NodeState>();

  async runBlock(block: ScenarioBlock): Promise<string[]> {
    const lines: string[] = [];
    for (const command of block.commands) lines.push(...(await this.#run(command)));
    return lines;
  }

  async #run(command: Command): Promise<string[]> {
    if (command.verb === 'world') return this.#world(command);
    const verb = verbs[command.verb];
    if (verb === undefined) throw new TypeError(`unknown command: ${command.text}`);
    const lines = await verb(this, command);
    return [...this.#transcript(), ...lines];
  }

  #world({ options }: Command): string[] {
    this.#zone = options['zone'] ?? 'UTC';
    const start = momentOf(options['start']!, this.#zone);
    this.fleet = new Fleet(new Simulation({ seed: options['seed'] ?? 1, start }));
    return [];
  }

  /** What happened since the last command. */
  #transcript(): string[] {
    const { simulation } = this.theFleet;
    const records = simulation.recorder.records;
    const lines = transcript(records, { zone: this.#zone, names: this.theFleet.names() });
    const fresh = lines.slice(this.#told);
    this.#told = lines.length;
    return fresh;
  }

  get theFleet(): Fleet {
    if (this.fleet === null) throw new TypeError('a scenario starts with: world start=...');
    return this.fleet;
  }

  agent(name: string): AgentMachine {
    const agent = this.theFleet.agents.get(name);
    if (agent === undefined) throw new TypeError(`there is no agent ${name}`);
    return agent;
  }

  /** A center or a relay. */
  above(name: string): CenterMachine | RelayMachine {
    return this.theFleet.relays.get(name) ?? this.center(name);
  }

  center(name: string): CenterMachine {
    const center = this.theFleet.centers.get(name);
    if (center === undefined) throw new TypeError(`there is no center ${name}`);
    return center;
  }

  /** `08:30` is the next time that it is so; `2026-03-03 08:30` is itself. */
  moment(text: string): UnixMillis {
    const { simulation } = this.theFleet;
    if (text.includes('-')) return momentOf(text, this.#zone);
    const now = Temporal.Instant.fromEpochMilliseconds(simulation.now).toZonedDateTimeISO(this.#zone);
    const today = now.withPlainTime(Temporal.PlainTime.from(text));
    const at = Temporal.ZonedDateTime.compare(today, now) > 0 ? today : today.add({ days: 1 });
    return at.epochMilliseconds;
  }

  get zone(): string {
    return this.#zone;
  }

  nextSeed(): string {
    return `content ${++this.#seeds}`;
  }

  save(name: string, state: NodeState): void {
    this.#saved.set(name, state);
  }

  saved(name: string): NodeState {
    const state = this.#saved.get(name);
    if (state === undefined) throw new TypeError(`nothing was saved as ${name}`);
    return state;
  }

  timeText(at: UnixMillis | null): string {
    if (at === null) return '-';
    const local = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(this.#zone);
    return `${local.toPlainDate().toString()} ${local.toPlainTime().toString({ smallestUnit: 'minute' })}`;
  }
}

type Verb = (scenario: Scenario, command: Command) => Promise<string[]>;

const verbs: Readonly<Record<string, Verb>> = {
  /** center NAME windows=.. streams=.. rate="20 kB/s" */
  async center(scenario, { args, options }) {
    const { windows = 'any', streams = '2', rate = 'unlimited' } = options;
    const none = { lines: [], lineOf: () => null, individual: [], rateOf: () => null };
    const rates = { total: rate, perClient: 'unlimited', restoreShare: 0, ...none };
    const { zone } = scenario;
    await scenario.theFleet.addCenter(args[0]!, { windows, zone, streams: Number(streams), rates });
    return [];
  },

  /** relay NAME above=NAME,NAME windows=.. streams=.. transfer=.. store=1G cache=0 speed=BYTES-PER-SECOND */
  async relay(scenario, { args, options }) {
    const {
      windows = 'any',
      streams = '2',
      transfer = 'any',
      store = '1G',
      cache = '0',
      above,
      speed,
    } = options;
    const { zone } = scenario;
    const upstreams = namesIn(above).map((name) => scenario.above(name));
    const relay = await scenario.theFleet.addRelay(args[0]!, {
      upstreams,
      conditions: { windows, zone, streams: Number(streams) },
      transfer: { windows: transfer, zone },
      storeBytes: sizeOf(store),
      cacheBytes: sizeOf(cache),
    });
    setSpeed(scenario, relay.name, upstreams, speed);
    return [];
  },

  /** agent NAME center=NAME,NAME (or relays) spool=4M speed=BYTES-PER-SECOND */
  async agent(scenario, { args, options }) {
    const centers = namesIn(options['center']).map((name) => scenario.above(name));
    const agent = await scenario.theFleet.addAgent(args[0]!, scenario.zone, {
      centers,
      spoolBytes: sizeOf(options['spool'] ?? '4M'),
    });
    setSpeed(scenario, agent.name, centers, options['speed']);
    return [];
  },

  /** job AGENT NAME PATH.. backup=.. transfer=.. */
  async job(scenario, { args, options }) {
    const [name, job, ...paths] = args;
    const agent = scenario.agent(name!);
    agent.jobs = [...agent.jobs, jobOf(job!, paths, options, scenario.zone)];
    agent.running?.reschedule();
    return [];
  },

  /** write AGENT PATH SIZE */
  async write(scenario, { args }) {
    const [name, path, size] = args;
    const { files } = scenario.agent(name!).node;
    files.makeDirectory(path!.slice(0, path!.lastIndexOf('/')) || '/');
    files.write(path!, { seed: scenario.nextSeed(), size: sizeOf(size!) });
    return [];
  },

  /** run until=08:30 | run for=10m */
  async run(scenario, { options }) {
    const { simulation } = scenario.theFleet;
    const until =
      options['until'] === undefined
        ? simulation.now + spanOf(options['for']!)
        : scenario.moment(options['until']);
    await simulation.run({ until });
    return [];
  },

  async crash(scenario, { args }) {
    scenario.theFleet.machine(args[0]!).crash();
    return [];
  },

  async boot(scenario, { args }) {
    scenario.theFleet.machine(args[0]!).boot();
    return [];
  },

  async stop(scenario, { args }) {
    await scenario.theFleet.machine(args[0]!).shutDown();
    return [];
  },

  /** Closes the lid of a laptop; `wake` opens it. */
  async suspend(scenario, { args }) {
    scenario.theFleet.machine(args[0]!).node.suspend();
    return [];
  },

  async wake(scenario, { args }) {
    scenario.theFleet.machine(args[0]!).node.resume();
    return [];
  },

  /** line MACHINE MACHINE speed=BYTES-PER-SECOND: from now on. */
  async line(scenario, { args, options }) {
    const { network } = scenario.theFleet;
    network.setLine(args[0]!, args[1]!, { bytesPerSecond: sizeOf(options['speed']!) });
    return [];
  },

  /** save MACHINE as=NAME: a copy of everything that the machine keeps. */
  async save(scenario, { args, options }) {
    scenario.save(options['as']!, scenario.theFleet.machine(args[0]!).node.snapshotState());
    return [];
  },

  /** put-back MACHINE NAME: the machine is restored from that copy; it must be stopped. */
  async 'put-back'(scenario, { args }) {
    scenario.theFleet.machine(args[0]!).node.restoreState(scenario.saved(args[1]!));
    return [];
  },

  /** restore AGENT SNAPSHOT [PATH..] to=DIR: says where the bytes came from and whether they equal the source. */
  async restore(scenario, { args, options }) {
    const [name, which, ...paths] = args;
    const agent = scenario.agent(name!);
    const to = options['to'] ?? '/restored';
    const wanted = { agent, snapshot: () => snapshotNamed(agent, which!), paths, to };
    return await restoreAndCompare(scenario.theFleet.simulation, wanted);
  },

  /** status AGENT: every snapshot with its copies. */
  async status(scenario, { args }) {
    const agent = scenario.agent(args[0]!);
    return await scenario.theFleet.simulation.finish(statusLines(scenario, agent));
  },

  /** sent AGENT: bytes of blocks that it sent, against what there was to send. */
  async sent(scenario, { args }) {
    const { parts } = scenario.agent(args[0]!).running!;
    const rows = await scenario.theFleet.simulation.finish(listSnapshots(parts.ledger.db));
    const owed = rows.reduce((sum, row) => sum + row.new_bytes, 0);
    return [`sent ${scenario.theFleet.blockBytesFrom(args[0]!)} bytes of blocks for ${owed} bytes owed`];
  },

  /** held RELAY: what it has in custody. */
  async held(scenario, { args }) {
    const relay = scenario.theFleet.relays.get(args[0]!)!;
    const { custody } = await scenario.theFleet.simulation.finish(relayUsage(relay.running!.parts));
    return [`${args[0]} holds ${custody} bytes in custody`];
  },

  /** ledger CENTER: the backup file management table of fig. 6. */
  async ledger(scenario, { args }) {
    return await scenario.theFleet.simulation.finish(ledgerLines(scenario, scenario.above(args[0]!)));
  },
};

const namesIn = (text = ''): string[] => text.split(',').filter(Boolean);

function setSpeed(
  scenario: Scenario,
  name: string,
  above: readonly { readonly name: string }[],
  speed: string | undefined,
): void {
  if (speed === undefined) return;
  for (const node of above) {
    scenario.theFleet.network.setLine(name, node.name, { bytesPerSecond: sizeOf(speed) });
  }
}

/** `docs#2` is the second snapshot of job docs. */
async function snapshotNamed(agent: AgentMachine, which: string): Promise<SnapshotId> {
  const { db } = agent.running!.parts.ledger;
  const [job, number] = which.split('#');
  if (number === undefined) return (await resolveSnapshot(db, which)).id;
  const rows = await listSnapshots(db, { job: job! });
  const row = rows.toSorted((a, b) => a.sequence - b.sequence)[Number(number) - 1];
  if (row === undefined) throw new LowtideError('no-such-snapshot', `there is no snapshot ${which}`);
  return row.id;
}

async function statusLines(scenario: Scenario, agent: AgentMachine): Promise<string[]> {
  const { parts, uplinks } = agent.running!;
  for (const uplink of uplinks) await uplink.refresh();
  const lines: string[] = [];
  for (const row of (await listSnapshots(parts.ledger.db)).toReversed()) {
    for (const copy of await copiesOf(parts.ledger.db, row.id)) {
      const center = scenario.theFleet.names().get(copy.center);
      const until = copy.until === null ? '' : ` until ${scenario.timeText(copy.until)}`;
      const phase = copy.phase === 'safe' && row.complete === 0 ? 'receipted, but partial' : copy.phase;
      const holder = copy.holder === null ? '' : ` by ${copy.holder}`;
      lines.push(`${labelOf(row)} at ${center}: ${phase}${holder} ${copy.code}${until}`.trimEnd());
    }
  }
  return [...lines, `spool holds ${await spoolBytes(parts)} bytes`];
}

const labelOf = (row: SnapshotRow): string =>
  `${row.job}#${row.sequence}${row.complete === 1 ? '' : ' (partial)'}`;

async function ledgerLines(scenario: Scenario, machine: CenterMachine | RelayMachine): Promise<string[]> {
  const { ledger } = machine.running!;
  const names = scenario.theFleet.names();
  const lines: string[] = [];
  for (const row of (await listSnapshots(ledger.db)).toReversed()) {
    const copy = await findCopy(ledger.db, row.id, machine.face.id);
    const history = await historyOf(ledger.db, row.id);
    const steps = history.map(
      ({ what, at, code }) => `${what}${code === '' ? '' : `(${code})`} ${scenario.timeText(at)}`,
    );
    lines.push(
      `${names.get(row.client)} ${labelOf(row)} taken ${scenario.timeText(row.taken_at)} arrived ${scenario.timeText(copy?.arrived_at ?? null)}`,
      ...steps.map((step) => `  ${step}`),
    );
  }
  return lines;
}

function jobOf(name: string, paths: readonly string[], options: Command['options'], zone: string): Job {
  const { backup = 'daily 22:00', transfer = 'any', spool = 'files' } = options;
  return {
    name,
    paths,
    excludes: [],
    excludeCaches: false,
    oneFileSystem: false,
    backup,
    transfer,
    zone,
    centers: [],
    spool: spool === 'difference' ? 'difference' : 'files',
    freeAfter: options['free-after'] === 'custody' ? 'custody' : 'centers',
    private: false,
  };
}

function momentOf(text: string, zone: string): UnixMillis {
  return Temporal.PlainDateTime.from(text.replace(' ', 'T')).toZonedDateTime(zone).epochMilliseconds;
}

function sizeOf(text: string): number {
  const match = /^(\d+)([KMG]?)$/.exec(text);
  if (match === null) throw new TypeError(`not a size: ${text}`);
  return Number(match[1]) * SIZES[match[2]!]!;
}

function spanOf(text: string): number {
  const match = /^(\d+)([smh])$/.exec(text);
  if (match === null) throw new TypeError(`not a span of time: ${text}`);
  return Number(match[1]) * SPANS[match[2]!]!;
}
