import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { between, type Draw, seeded } from '../../scripts/trees/seeded.ts';
import { ChangingTree } from './changing-tree.ts';
import { describeTree } from './difficult-tree.ts';
import { Pair } from './pair.ts';
import { type Line, lowtide, removeFolder, sleep } from './processes.ts';

/** What was going on when a process was killed. */
export const PHASES = ['backup', 'transfer', 'commit', 'receipt', 'recovery'] as const;
export type Phase = (typeof PHASES)[number];
/** Found out from what the processes said: a random moment may miss the phase that it was meant for. */
export type Moment = Phase | 'between';
const VICTIMS = ['agent', 'center', 'both'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface KillWish {
  readonly rounds: number;
  readonly seed: string;
  readonly treeBytes: number;
  /** Phases to aim at, in turn; all if left out. */
  readonly phases?: readonly Phase[];
  /** Room in the spool, such as `40 MB`: less than the tree, so that backups travel in parts. */
  readonly spool?: string;
  readonly say: (text: string) => void;
}

export interface KillReport {
  readonly kills: ReadonlyMap<`${Victim} in ${Moment}`, number>;
  readonly snapshots: number;
  readonly alarms: readonly string[];
}

const JOB = 'documents';
const EVENT_MS = 60_000;
const SAFE_MS = 180_000;

/**
 * Kills center and agent with SIGKILL amid backup, transfer, commit, receipt and recovery, starts them again, and in the
 * end wants everything that was taken to be safe, drained, undamaged and restorable as it was: no manual step.
 * @throws AssertionError for what is not
 */
export async function killNine(wish: KillWish): Promise<KillReport> {
  const pair = await Pair.make('kill');
  try {
    const run = new KillNine(pair, wish);
    await run.prepare();
    for (let round = 1; round <= wish.rounds; round++) await run.round(round);
    return await run.conclude();
  } finally {
    await pair.close();
  }
}

class KillNine {
  readonly #pair: Pair;
  readonly #wish: KillWish;
  readonly #draw: Draw;
  readonly #tree: ChangingTree;
  readonly #kills = new Map<`${Victim} in ${Moment}`, number>();
  /** What the tree was when each sequence was taken, as find and sha256sum saw it. */
  readonly #truths = new Map<number, string>();
  /** How long things took last, to aim by. */
  readonly #took = { backup: 2500, transfer: 400 };

  constructor(pair: Pair, wish: KillWish) {
    this.#pair = pair;
    this.#wish = wish;
    this.#draw = seeded(wish.seed);
    this.#tree = new ChangingTree(join(pair.folder, 'tree'), wish.treeBytes, wish.seed);
  }

  async prepare(): Promise<void> {
    const pair = this.#pair;
    const { spool } = this.#wish;
    if (spool !== undefined) writeFileSync(join(pair.agentData, 'agent.yaml'), `spool: ${spool}\n`);
    await pair.onAgent('job', 'add', JOB, this.#tree.path, '--backup', 'manual', '--transfer', 'any');
    await pair.startAgent();
  }

  async round(round: number): Promise<void> {
    const { phases = PHASES, say, spool } = this.#wish;
    if (round > 1) this.#tree.change();
    const truth = describeTree(this.#tree.path);
    const aim = phases[(round - 1) % phases.length]!;
    const victim = this.#pick(aim === 'backup' ? (['agent', 'agent', 'both'] as const) : VICTIMS);
    const killed = await this.#runAndKill(aim, victim);
    await this.#restart(victim, aim === 'recovery');
    // A backup in parts goes on by itself: all its parts must be of the tree as it is now.
    const patient = spool !== undefined || this.#draw() < 0.5;
    say(`round ${round}: ${victim} killed in ${killed} (aimed at ${aim})${patient ? ', then all safe' : ''}`);
    if (!patient) await this.#learn(truth);
    else await this.#safe(truth);
  }

  /** One more round that nobody disturbs, then everything must be as if nothing had happened. */
  async conclude(): Promise<KillReport> {
    const pair = this.#pair;
    this.#tree.change();
    const truth = describeTree(this.#tree.path);
    await pair.onAgent('job', 'run', JOB, '--wait', '3min');
    await this.#safe(truth);
    assert.equal((await pair.agent.stop()).code, 0, 'the agent stops with 0');
    await this.#checkRestores();
    assert.equal((await pair.center.stop()).code, 0, 'the center stops with 0');
    await lowtide(['verify', '--read-data', '--depot', join(pair.centerData, 'store')]);
    await lowtide(['verify', '--read-data', '--data', pair.agentData]);
    const alarms = [...pair.centers, ...pair.agents]
      .flatMap((daemon) => daemon.events('alarm'))
      .map((event) => `${String(event['code'])}: ${String(event['message'])}`);
    return { kills: this.#kills, snapshots: this.#truths.size, alarms };
  }

  async #runAndKill(aim: Phase, victim: Victim): Promise<Moment> {
    const { center, agent } = this.#pair;
    const marks = { center: center.lines.length, agent: agent.lines.length };
    const startedAt = performance.now();
    // The command fails when the agent dies under it; what was taken shows later.
    const asked = this.#pair.askAgent(['job', 'run', JOB], { exits: [0, 1] });
    asked.catch(() => {});
    if (aim === 'backup') await sleep(350 + this.#draw() * this.#took.backup);
    else {
      await agent.event('taken', EVENT_MS, marks.agent);
      this.#took.backup = performance.now() - startedAt;
      await this.#reach(aim, marks);
    }
    const moment = await this.#kill(victim, marks);
    await asked.catch(() => {});
    return moment;
  }

  /** Waits for the beginning of the phase, then a random part of it. */
  async #reach(aim: Phase, marks: { center: number; agent: number }): Promise<void> {
    const { center, agent } = this.#pair;
    await center.event('ordered', EVENT_MS, marks.center);
    const orderedAt = performance.now();
    if (aim === 'transfer') return await sleep(this.#draw() * this.#took.transfer);
    await agent.event('sent', EVENT_MS, marks.agent);
    this.#took.transfer = performance.now() - orderedAt;
    // A commit on an idle machine takes some ten milliseconds.
    if (aim === 'commit') return this.#draw() < 0.5 ? undefined : await sleep(this.#draw() * 10);
    await center.event('committed', EVENT_MS, marks.center);
    await sleep(this.#draw() * 20);
  }

  async #kill(victim: Victim, marks: { center: number; agent: number }): Promise<Moment> {
    const { center, agent } = this.#pair;
    const doomed = victim === 'both' ? [center, agent] : victim === 'agent' ? [agent] : [center];
    await Promise.all(doomed.map((daemon) => daemon.kill()));
    const ofAgent = agent.lines.slice(marks.agent);
    const taken = ofAgent.find((line) => line['kind'] === 'taken');
    const said = new Set(
      [...ofAgent, ...center.lines.slice(marks.center)]
        .filter((line) => line['snapshot'] === taken?.['snapshot'])
        .map((line) => line['kind']),
    );
    const moment = taken === undefined ? 'backup' : momentOf(said);
    this.#count(victim, moment);
    return moment;
  }

  /** Perhaps not at once; with `again`, it is killed once more while it recovers. */
  async #restart(victim: Victim, again: boolean): Promise<void> {
    await sleep(this.#draw() * 1000);
    const start = async (): Promise<void> => {
      if (victim !== 'agent') await this.#pair.startCenter();
      if (victim !== 'center') await this.#pair.startAgent();
    };
    if (again) {
      await this.#pair.startAndKill(victim, between(this.#draw, 50, 700));
      this.#count(victim, 'recovery');
    }
    await start();
  }

  /** Snapshots that were not there before are of the tree as it is now. */
  async #learn(truth: string): Promise<void> {
    for (const { sequence } of await this.#pair.snapshots()) {
      if (!this.#truths.has(Number(sequence))) this.#truths.set(Number(sequence), truth);
    }
  }

  /** Waits until all is taken and safe. */
  async #safe(truth: string): Promise<void> {
    const deadline = performance.now() + SAFE_MS;
    for (;;) {
      await this.#pair.drained(SAFE_MS);
      const { agent, jobs } = await this.#pair.status();
      const { remarks } = jobs[0]!['protection'] as { remarks: { kind: string }[] };
      const going = remarks.some(({ kind }) => kind === 'partial' || kind === 'not-collected');
      if (!going && agent['taking'] === null) break;
      if (performance.now() > deadline) assert.fail(`not whole: ${JSON.stringify(jobs)}`);
      await sleep(500);
    }
    await this.#learn(truth);
  }

  async #checkRestores(): Promise<void> {
    const pair = this.#pair;
    const snapshots = await pair.snapshots();
    const atCenter = (await pair.onCenter('center', 'snapshots')).filter((line) => line['phase'] === 'safe');
    assert.deepEqual(idsOf(atCenter), idsOf(snapshots), 'the center has every snapshot');
    for (const { id, sequence, complete: whole } of snapshots) {
      if (whole !== true) continue;
      const target = join(pair.folder, 'restored');
      const { complete, from } = await pair.restore(target, String(id));
      assert.ok(complete && from('center tokyo') > 0);
      const restored = describeTree(join(target, this.#tree.path));
      assert.equal(restored, this.#truths.get(Number(sequence)), `snapshot ${String(sequence)} as it was`);
      removeFolder(target);
    }
  }

  #count(victim: Victim, moment: Moment): void {
    const key = `${victim} in ${moment}` as const;
    this.#kills.set(key, (this.#kills.get(key) ?? 0) + 1);
  }

  #pick<T>(list: readonly T[]): T {
    return list[between(this.#draw, 0, list.length - 1)]!;
  }
}

const idsOf = (lines: readonly Line[]): string[] => lines.map(({ id }) => String(id)).sort();

/** From the kinds of events that the killed snapshot had until then. */
function momentOf(said: ReadonlySet<unknown>): Moment {
  if (said.has('freed')) return 'between';
  if (said.has('committed')) return 'receipt';
  if (said.has('sent')) return 'commit';
  return said.has('ordered') ? 'transfer' : 'between';
}
