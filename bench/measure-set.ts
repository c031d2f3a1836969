import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../test/real/processes.ts';
import { type Cost, type Measured, measured } from './meter.ts';
import { megabytes, type Report } from './report.ts';
import { restoreTarget, type Room } from './restore-target.ts';
import type { DataSet } from './sets.ts';
import type { Tool } from './tools.ts';
import { editPercent, settle, warm, type Workplace } from './workplace.ts';

export interface SetOptions {
  readonly tools: readonly Tool[];
  /** A command that takes longer is ended, and said to have been. */
  readonly timeoutMs: number;
  /** Restores go onto a new file system each: takes root. */
  readonly fresh: boolean;
}

/** One round of one data set: each phase for all tools in turn, so that the tree changes for all at once. */
export async function measureSet(
  report: Report,
  set: DataSet,
  place: Workplace,
  options: SetOptions,
): Promise<void> {
  const title = `${set.name}: ${set.what}`;
  const round = new Round(report, title, place, options);
  await measureMachine(report, title, place);
  await round.begin();
  await round.backup('first backup');
  if (set.firstOnly === true) return;
  if (set.versions === undefined) {
    await round.backup('unchanged');
    editPercent(place.tree);
    await settle();
    await round.backup('1 % of the files edited');
    await round.restore();
  } else await nights(round, set, place);
  place.clear();
}

/** The tree changes in a copy: the next round begins with the first version again. */
async function nights(round: Round, set: DataSet, place: Workplace): Promise<void> {
  const kept = `${place.tree}.first`;
  cpSync(place.tree, kept, { recursive: true, preserveTimestamps: true });
  for (let version = 1; version <= set.versions!.count; version++) {
    set.versions!.change(place.tree, version);
    await settle();
    await round.backup('each of the versions after');
  }
  rmSync(place.tree, { recursive: true });
  await run('mv', [kept, place.tree]);
}

class Round {
  readonly #report: Report;
  readonly #title: string;
  readonly #place: Workplace;
  readonly #options: SetOptions;
  readonly #lost = new Set<Tool>();
  #backups = 0;

  constructor(report: Report, title: string, place: Workplace, options: SetOptions) {
    this.#report = report;
    this.#title = title;
    this.#place = place;
    this.#options = options;
  }

  async begin(): Promise<void> {
    for (const tool of this.#options.tools) await tool.init(this.#repository(tool));
  }

  async backup(phase: string): Promise<void> {
    this.#backups++;
    for (const tool of this.#tools()) {
      const repository = this.#repository(tool);
      const args = tool.backup(repository, this.#place.tree, this.#backups);
      warm(this.#place.tree);
      await this.#measure(phase, tool, args, async () => `${await sizeOf(repository)} in its repository`);
    }
  }

  async restore(): Promise<void> {
    const { tree } = this.#place;
    const room = { bytes: warm(tree), entries: readdirSync(tree, { recursive: true }).length };
    await this.#withTarget(room, (target) => this.#copy(target));
    for (const tool of this.#tools()) {
      await this.#withTarget(room, async (target) => {
        const args = tool.restore(this.#repository(tool), target, this.#backups);
        const cwd = tool.restoresHere === true ? { cwd: target } : {};
        warm(this.#repository(tool));
        if (args === null) return;
        const cost = await this.#measure('restore', tool, args, async () => '', cwd);
        if (cost !== null) await this.#sync(tool.name, cost, target);
      });
    }
  }

  async #withTarget(room: Room, work: (target: string) => Promise<void>): Promise<void> {
    const target = await restoreTarget(this.#place.scratch, room, this.#options.fresh);
    try {
      await work(target.path);
    } finally {
      await target.remove();
    }
  }

  /** A restore, and what it then takes to have it on the disk: one of lowtide's has done that itself. */
  async #sync(name: string, restored: Cost, target: string): Promise<void> {
    const synced = await measured('sync', ['-f', target]);
    this.#report.add(this.#title, `restore, until on the disk: ${name}`, together(restored, synced.cost));
  }

  /** What the machine's own copying costs. */
  async #copy(target: string): Promise<void> {
    const { cost } = await measured('cp', ['-a', this.#place.tree, target]);
    this.#report.add(this.#title, 'restore: cp -a', cost);
    await this.#sync('cp -a', cost, target);
  }

  #tools(): readonly Tool[] {
    return this.#options.tools.filter((tool) => !this.#lost.has(tool));
  }

  #repository({ name }: Tool): string {
    return join(this.#place.scratch, `repository-${name}`);
  }

  /** @returns null if it gave no figure */
  async #measure(
    phase: string,
    tool: Tool,
    args: readonly string[],
    note: () => Promise<string>,
    cwd: { readonly cwd?: string } = {},
  ): Promise<Cost | null> {
    const { timeoutMs } = this.#options;
    let done: Measured;
    try {
      done = await measured(tool.program, args, { env: tool.env, timeoutMs, ...cwd });
      if (done.cost.wallMs >= timeoutMs) throw new Error(`ended after ${timeoutMs / 1000} s`);
    } catch (error) {
      // One tool that fails or takes for ever must not end the others' run.
      this.#lost.add(tool);
      const why = error instanceof Error ? error.message.split('\n')[0]! : String(error);
      this.#report.lost(this.#title, `${phase}: ${tool.name}`, why);
      return null;
    }
    this.#report.add(this.#title, `${phase}: ${tool.name}`, done.cost, await note());
    return done.cost;
  }
}

const together = (one: Cost, other: Cost): Cost => ({
  wallMs: one.wallMs + other.wallMs,
  cpuMs: one.cpuMs + other.cpuMs,
  peakBytes: Math.max(one.peakBytes, other.peakBytes),
});

/** What merely looking at the tree costs here, and reading all of it. */
async function measureMachine(report: Report, title: string, { tree }: Workplace): Promise<void> {
  warm(tree);
  const found = await measured('find', [tree, '-printf', '%p %s %T@\\n']);
  report.add(title, 'find -printf', found.cost);
}

async function sizeOf(path: string): Promise<string> {
  const { out } = await run('du', ['-s', '--apparent-size', '--block-size=1', path]);
  return megabytes(Number(out.split('\t')[0]));
}
