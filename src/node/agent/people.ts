import { z } from 'zod';
import type { BackupResult } from '../../backup/plan.ts';
import type { SlotSpec } from '../../format/keyring-slots.ts';
import { copiesOf, copyState } from '../../ledger/copies.ts';
import { forgetJob } from '../../ledger/jobs.ts';
import { chainEnd, resolveSnapshot } from '../../ledger/snapshots.ts';
import { bytesOfHex, hexOf } from '../../model/bytes.ts';
import { isLowtideError, LowtideError, messageOf } from '../../model/errors.ts';
import type { Problem, Progress } from '../../model/events.ts';
import type { CenterFace, CopyState } from '../../model/exchange.ts';
import type { CenterId, ClientId, SnapshotId } from '../../model/ids.ts';
import type { Job } from '../../model/jobs.ts';
import { pathKeyOf } from '../../model/paths.ts';
import { parseSpan } from '../../schedule/span-text.ts';
import { checkWindowsMeet, parseWindows } from '../../schedule/windows.ts';
import { type KnownConditions, knownConditions } from '../../uplink/conditions.ts';
import { type AgentHome, agentPaths } from './home.ts';
import { type AgentStatus, agentStatus } from './view.ts';
import { askAbove, withinPatience } from '../asking.ts';
import { type Agent } from './agent.ts';
import { centersReached, findJob } from './parts.ts';
import { type Left, leaveNode, type LeavingDesk, type ReleasedCenter, releaseFrom } from '../leaving.ts';
import { addKey, type KeyLine, keyLines, removeKey, shareDomain } from '../keys.ts';
import { lossesForStatus } from './lost-files.ts';
import { type KnownCosts, saveCosts } from './source-costs.ts';
import { spoolBytes } from './spool.ts';
import { checked } from '../people.ts';
import { type JoinedNode, joinedNodes } from '../upstream-view.ts';

/** What people may ask of an agent: over its local socket while it runs, else of the data folder itself. */
export interface AgentPeople {
  status(ask: object): Promise<AgentStatus>;
  addJob(job: NewJob): Promise<{ readonly job: Job; readonly warnings: readonly string[] }>;
  removeJob(ask: { readonly name: string }): Promise<{ readonly waiting: number }>;
  /** Starts one backup; `run` says how it goes. */
  startJob(ask: { readonly name: string }): Promise<{ readonly run: string }>;
  run(ask: { readonly run: string }): Promise<RunState>;
  /** Whether the job's newest snapshot is whole and receipted wherever it is owed. */
  collected(ask: { readonly job: string; readonly sequence: number }): Promise<Collected>;
  discard(ask: { readonly snapshot: string }): Promise<{ readonly discarded: readonly SnapshotId[] }>;
  /** Forgets a node that was joined. */
  leave(ask: { readonly node: string }): Promise<Left>;
  /** Nothing is owed to a center any more. */
  release(ask: { readonly center: string }): Promise<ReleasedCenter>;
  /** What a restore has measured: for the next one. */
  rememberSources(ask: { readonly costs: KnownCosts }): Promise<object>;
  keys(ask: object): Promise<KeyState>;
  addKey(ask: NewKey): Promise<KeyLine>;
  removeKey(ask: { readonly key: string }): Promise<KeyLine>;
  /** 64 hex digits: for other machines of the same owner. */
  shareDomain(ask: object): Promise<{ readonly domainKey: string }>;
  /** The data folder was changed by somebody else: read it anew. */
  reload(ask: object): Promise<object>;
}

export type NewJob = z.input<typeof newJob>;
export type NewKey = z.input<typeof newKey>;

export type RunState =
  | { readonly state: 'running'; readonly progress: Progress | null }
  | { readonly state: 'done'; readonly result: RunResult }
  | { readonly state: 'failed'; readonly code: string; readonly message: string };

export interface RunResult {
  readonly snapshot: SnapshotId;
  readonly job: string;
  readonly sequence: number;
  readonly takenAt: number;
  readonly counts: BackupResult['counts'];
  readonly storedBytes: number;
  readonly unchanged: number;
  readonly complete: boolean;
  readonly problems: readonly Problem[];
}

export interface KeyState {
  readonly keys: readonly KeyLine[];
  readonly client: ClientId;
  /** Of the root of the center that was joined first: for recovery sheets. */
  readonly caHash: string | null;
}

export interface Collected {
  readonly collected: boolean;
  readonly complete: boolean;
  /** Of the newest snapshot of the job. */
  readonly copies: readonly CopyState[];
}

/** What the handlers need beside the agent. */
export interface AgentDesk {
  readonly agent: Agent;
  readonly home: AgentHome;
  /** False where a command has opened the data folder itself. */
  readonly running: boolean;
  /** Ends what people started. */
  readonly stop: AbortSignal;
  readonly progress: () => Progress | null;
  readonly reload: () => void;
}

const newJob = z.strictObject({
  name: z.string(),
  paths: z.array(z.string()).min(1),
  excludes: z.array(z.string()).default([]),
  excludeCaches: z.boolean().default(true),
  oneFileSystem: z.boolean().default(false),
  backup: z.string(),
  transfer: z.string(),
  zone: z.string().nullable().default(null),
  /** Names or ids; empty for all. */
  centers: z.array(z.string()).default([]),
  spool: z.enum(['files', 'difference']).default('files'),
  freeAfter: z.enum(['centers', 'custody']).default('centers'),
  /** A span such as `24 h`. */
  target: z.string().nullable().default(null),
  private: z.boolean().default(false),
});
const newKey = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('passphrase'),
    label: z.string().max(200),
    passphrase: z.string().min(1),
  }),
  z.strictObject({ kind: z.literal('recovery'), label: z.string().max(200), secret: z.string() }),
  z.strictObject({ kind: z.literal('organisation'), label: z.string().max(200), publicKey: z.string() }),
]);
const knownCost = z.strictObject({
  latencyMs: z.number().min(0).max(1e9),
  bytesPerSecond: z.number().positive().max(1e15),
});
const sourcesAsk = z.strictObject({ costs: z.record(z.string().max(300), knownCost) });
const named = z.strictObject({ name: z.string() });
const nothing = z.strictObject({});

export function agentPeople(desk: AgentDesk): AgentPeople {
  const runs = new Runs(desk);
  return {
    status: checked(nothing, () => statusOf(desk)),
    addJob: checked(newJob, (job) => addJob(desk, job)),
    removeJob: checked(named, ({ name }) => removeJob(desk, name)),
    startJob: checked(named, ({ name }) => runs.start(name)),
    run: checked(z.strictObject({ run: z.string() }), async ({ run }) => runs.state(run)),
    collected: checked(z.strictObject({ job: z.string(), sequence: z.number() }), ({ job, sequence }) =>
      collected(desk, job, sequence),
    ),
    discard: checked(z.strictObject({ snapshot: z.string().min(1) }), ({ snapshot }) =>
      discard(desk, snapshot),
    ),
    leave: checked(z.strictObject({ node: z.string() }), ({ node }) => leaveNode(leavingDesk(desk), node)),
    release: checked(z.strictObject({ center: z.string() }), ({ center }) =>
      releaseFrom(leavingDesk(desk), center),
    ),
    rememberSources: checked(sourcesAsk, async ({ costs }) => {
      await saveCosts(desk.agent.parts.ledger, costs);
      return {};
    }),
    keys: checked(nothing, async () => keyState(desk)),
    addKey: checked(newKey, async (key) => {
      const { line } = await addKey(keyDesk(desk), slotSpec(key));
      desk.reload();
      return line;
    }),
    removeKey: checked(z.strictObject({ key: z.string() }), async ({ key }) => {
      const { line } = await removeKey(keyDesk(desk), key);
      desk.reload();
      return line;
    }),
    shareDomain: checked(nothing, async () => {
      const keys = keyDesk(desk);
      const domainKey = hexOf(await shareDomain(keys));
      // There may be another version of the keyring now.
      if (keys.keyring.signed.keyring.proofs === null) desk.reload();
      return { domainKey };
    }),
    reload: checked(nothing, async () => {
      desk.reload();
      return {};
    }),
  };
}

async function statusOf(desk: AgentDesk): Promise<AgentStatus> {
  const { agent, home, running } = desk;
  const { world, depot, ledger, identity, settings } = agent.parts;
  if (running) await askAbove(agent.parts.world.clock, agent.uplinks);
  const jobs = await settings.jobs();
  await home.refresh();
  const uplinks = new Map(
    agent.uplinks.map((uplink, at) => [home.client.centers[at]!.face.id, uplink.status]),
  );
  return await agentStatus({
    world,
    ledger,
    client: identity.client,
    instance: identity.instance,
    name: identity.name,
    software: settings.software,
    jobs,
    mistakes: home.mistakes(),
    upstreams: joinedNodes(home.client),
    spool: { bytes: await spoolBytes(agent.parts), quota: settings.spoolBytes },
    lost: await lossesForStatus({ world, depot, ledger, keys: identity.keyring.keys }),
    live: running
      ? {
          taking: agent.taking,
          notWhile: agent.notWhile.says,
          uplinks,
          nextDue: (job) => agent.nextDue(job),
        }
      : null,
  });
}

async function addJob(desk: AgentDesk, wish: z.output<typeof newJob>) {
  const { agent, home } = desk;
  const { world, ledger } = agent.parts;
  const centers = wish.centers.map((text) => centerNamed(home, text));
  const { target, ...rest } = wish;
  const job: Job = {
    ...rest,
    ...(target === null ? {} : { target: parseSpan(target) }),
    zone: wish.zone ?? world.clock.zone,
    centers: centers.map(({ id }) => id),
  };
  const windows = parseWindows(job.transfer, job.zone);
  const unknown: string[] = [];
  for (const { face } of nodesTo(home, centers)) {
    const { id, name, kind } = face;
    const known = (await knownConditions(ledger, id)) ?? (await askConditions(desk, id));
    if (known === null) {
      unknown.push(`when ${name} collects is not known yet: 'lowtide status' says if the hours never meet`);
      continue;
    }
    try {
      checkWindowsMeet(windows, parseWindows(known.windows, known.zone), world.clock.now());
    } catch (error) {
      if (!isLowtideError(error, 'windows-never-meet')) throw error;
      throw new LowtideError(error.code, `${kind} ${name}: ${error.message}`);
    }
  }
  await home.jobs.add(job);
  agent.reschedule();
  return { job, warnings: [...(await warningsFor(desk, job)), ...unknown] };
}

/** Of a center that was joined and never connected to since: the first job is often added before the agent runs. */
async function askConditions(
  { agent, home, running }: AgentDesk,
  id: CenterId,
): Promise<KnownConditions | null> {
  const uplink = agent.uplinks[home.client.centers.findIndex(({ face }) => face.id === id)];
  if (running || uplink === undefined) return null;
  await withinPatience(agent.parts.world.clock, uplink.learn());
  return await knownConditions(agent.parts.ledger, id);
}

/** The nodes to which snapshots for these centers go first; for all if there are none. */
function nodesTo(home: AgentHome, centers: readonly CenterFace[]): readonly JoinedNode[] {
  const wanted = new Set(centers.map(({ id }) => id));
  const joined = joinedNodes(home.client);
  return wanted.size === 0 ? joined : joined.filter((node) => node.centers.some(({ id }) => wanted.has(id)));
}

function centerNamed(home: AgentHome, text: string): CenterFace {
  const found = centersReached(joinedNodes(home.client)).find(({ id, name }) => name === text || id === text);
  if (found !== undefined) return found;
  throw new LowtideError(
    'not-enrolled',
    `this machine has not joined a center ${text}: 'lowtide status' shows them`,
  );
}

async function warningsFor({ agent }: AgentDesk, job: Job): Promise<string[]> {
  const warnings: string[] = [];
  for (const path of job.paths) {
    const there = await agent.parts.world.files.lstat(pathKeyOf(path)).catch(() => null);
    if (there === null)
      warnings.push(`${path} does not exist now: backups of ${job.name} fail until it does`);
  }
  if (agent.parts.upstreams.length === 0) warnings.push('this machine has not joined any center yet');
  return warnings;
}

/** What was taken stays in the spool and is collected. */
async function removeJob({ agent, home }: AgentDesk, name: string): Promise<{ waiting: number }> {
  const { ledger } = agent.parts;
  await home.jobs.remove(name);
  await forgetJob(ledger.db, name);
  agent.reschedule();
  const waiting = await ledger.db
    .selectFrom('snapshots')
    .select('id')
    .where('job', '=', name)
    .where('pack_group', 'is not', null)
    .execute();
  return { waiting: waiting.length };
}

async function collected({ agent }: AgentDesk, job: string, sequence: number): Promise<Collected> {
  const { ledger, identity } = agent.parts;
  for (const uplink of agent.uplinks) await uplink.refresh().catch(() => undefined);
  const end = await chainEnd(ledger.db, identity.instance, job);
  if (end === null || end.sequence < sequence) return { collected: false, complete: false, copies: [] };
  const copies = await copiesOf(ledger.db, end.id);
  const complete = end.complete === 1;
  const everywhere = copies.length > 0 && copies.every(({ phase }) => phase === 'safe');
  return { collected: complete && everywhere, complete, copies: copies.map(copyState) };
}

async function discard({ agent }: AgentDesk, text: string): Promise<{ discarded: readonly SnapshotId[] }> {
  const { ledger, identity } = agent.parts;
  const row = await resolveSnapshot(ledger.db, text.toLowerCase(), identity.client);
  return { discarded: await agent.discard(row.id) };
}

function leavingDesk({ agent, home, reload }: AgentDesk): LeavingDesk {
  const { settings } = agent.parts;
  return {
    node: agent,
    directory: agentPaths(home.data).identity,
    client: home.client,
    own: null,
    namedBy: async (center) => {
      const job = (await settings.jobs()).find(({ centers }) => centers.includes(center));
      return job === undefined ? null : `the job ${job.name}`;
    },
    reload,
  };
}

function keyState({ agent, home }: AgentDesk): KeyState {
  const { client, keyring } = agent.parts.identity;
  return { keys: keyLines(keyring), client, caHash: home.client.centers[0]?.caHash ?? null };
}

function keyDesk({ agent }: AgentDesk) {
  const { world, depot, identity } = agent.parts;
  return { world, depot, keyring: identity.keyring, signingKey: identity.signingKey };
}

function slotSpec(key: z.output<typeof newKey>): SlotSpec {
  if (key.kind === 'passphrase') return key;
  const hex = key.kind === 'recovery' ? key.secret : key.publicKey;
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new LowtideError('wrong-key', 'a key is written as 64 hex digits');
  const bytes = new Uint8Array(bytesOfHex(hex));
  return key.kind === 'recovery'
    ? { kind: key.kind, label: key.label, secret: bytes }
    : { kind: key.kind, label: key.label, publicKey: bytes };
}

const RUNS_KEPT = 100;

/** Backups that people started: they go on whoever watches. */
class Runs {
  readonly #desk: AgentDesk;
  readonly #runs = new Map<string, RunState>();
  #last = 0;

  constructor(desk: AgentDesk) {
    this.#desk = desk;
  }

  async start(name: string): Promise<{ run: string }> {
    const { agent, stop } = this.#desk;
    await findJob(agent.parts.settings, name);
    const run = String(++this.#last);
    this.#runs.set(run, { state: 'running', progress: null });
    this.#forgetOld();
    agent.take(name, stop).then(
      (result) => this.#runs.set(run, { state: 'done', result: resultOf(name, result) }),
      (error: unknown) => this.#runs.set(run, { state: 'failed', ...failureOf(error) }),
    );
    return { run };
  }

  state(run: string): RunState {
    const found = this.#runs.get(run);
    if (found === undefined) throw new LowtideError('not-found', `there is no run ${run}`);
    return found.state === 'running' ? { ...found, progress: this.#desk.progress() } : found;
  }

  #forgetOld(): void {
    const [oldest] = this.#runs.keys();
    if (this.#runs.size > RUNS_KEPT && oldest !== undefined) this.#runs.delete(oldest);
  }
}

function failureOf(error: unknown): { code: string; message: string } {
  return { code: isLowtideError(error) ? error.code : 'crashed', message: messageOf(error) };
}

/** @param job its own name: the manifest of a private one says another */
function resultOf(job: string, result: BackupResult): RunResult {
  const { signed, counts, storedBytes, unchanged, complete, problems } = result;
  const { sequence, takenAt } = signed.manifest;
  return { snapshot: signed.id, job, sequence, takenAt, counts, storedBytes, unchanged, complete, problems };
}
