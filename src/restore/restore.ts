import type { ContinuationRecord, TreeRecord } from '../format/tree-page.ts';
import type { Entry } from '../model/entries.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { baseName, checkName, isName, type PathKey, ROOT_PATH } from '../model/paths.ts';
import type { World } from '../world/ports.ts';
import { DirectoryStack, type Level } from './directory-stack.ts';
import type { Place } from './file-job.ts';
import { FileRestorer } from './file-restorer.ts';
import type { Flush } from './file-window.ts';
import { LinkGroups } from './link-groups.ts';
import { Metadata } from './metadata.ts';
import { OtherRestorer } from './other-entries.ts';
import { placeFor, type RestoreContext } from './restore-context.ts';
import type { RestorePlan, RestoreReport } from './restore-plan.ts';
import { outermost, SnapshotTree } from './snapshot-tree.ts';
import { interruptedIf, ownError } from './stop.ts';
import { type ProgressTotals, Tally } from './tally.ts';

/** In the largest chunks: what is made durable together (128 MiB), while the next is made. The rest is at the end. */
const SYNC_CHUNKS = 32;
/** What a file takes of a disk at the least. */
const FILE_BYTES = 4096;
const DIRECTORIES_MAX = 4096;
const FRESH: Place = { replace: false, fresh: true };

/**
 * Restores a snapshot, or parts of it, from the first source that has each block (SEED 113, 213; promises P2). What
 * cannot be restored is told and the rest goes on; the report says whether it is complete. Nothing happens outside
 * `plan.target`.
 * Throws LowtideError before anything is written: `no-such-path`, `no-key`, `block-unavailable` or `damaged-page` (of
 * the tree's top page), `target-exists`. And later: `disk-full`, `interrupted`. Then every file that has its final
 * name is complete, nothing temporary is left, and the same plan with overwrite `never` goes on from there.
 */
export async function restoreSnapshot(
  world: World,
  plan: RestorePlan,
  stop: AbortSignal,
): Promise<RestoreReport> {
  const paths = outermost(plan.paths);
  const tally = new Tally(world.monitor, totalsOf(plan, paths));
  const tree = new SnapshotTree(world, plan.signed, plan.keys, plan.sources, stop, (path, error) =>
    tally.problem(path, error),
  );
  await tree.open();
  for (const path of paths) await tree.check(path);
  const ancestors = await tree.ancestors(paths);
  const rootIsFresh = await isUnused(world, plan.target);
  const target = await world.files.openTarget(plan.target);
  try {
    const metadata = new Metadata(target, world.files.accounts, plan.owners);
    const groups = new LinkGroups();
    const context = { world, plan, tree, target, tally, metadata, groups, stop };
    await new Restorer(context, ancestors, rootIsFresh).run(paths);
  } catch (error) {
    throw explained(error, tally);
  } finally {
    await target.close();
  }
  summarise(tree, plan, tally);
  const report = tally.report(tree.fetcher.usage());
  world.monitor.event({
    kind: 'restored',
    files: report.files,
    bytes: report.bytes,
    problems: report.problemCount,
  });
  return report;
}

class Restorer {
  readonly #context: RestoreContext;
  readonly #directories: DirectoryStack;
  readonly #files: FileRestorer;
  readonly #others: OtherRestorer;
  /** Of the last entry. */
  #path: PathKey | null = null;
  /** Of files, whether or not their end has come. */
  #content = 0;
  #synced = 0;
  /** A sync beside the work: the disk writes while other files are made. Its error is thrown to whoever syncs next. */
  #syncing: Promise<void> = Promise.resolve();
  #isSyncing = false;
  /** The windows before this one, of which the last is restored while this one is collected. */
  #underWay: Promise<void> = Promise.resolve();
  #underWayBefore: Promise<void> = Promise.resolve();
  #reading: Promise<void> = Promise.resolve();

  constructor(context: RestoreContext, ancestors: ReadonlyMap<PathKey, Entry>, rootIsFresh: boolean) {
    this.#context = context;
    this.#directories = new DirectoryStack(context.target, ancestors, rootIsFresh);
    this.#files = new FileRestorer(context);
    this.#others = new OtherRestorer(context);
  }

  async run(paths: readonly PathKey[]): Promise<void> {
    const { tree, tally, metadata } = this.#context;
    try {
      for (const path of paths) {
        for await (const records of tree.subtree(path)) {
          for (const record of records) {
            const more = this.#record(record);
            if (more !== null) await more;
          }
        }
      }
      this.#files.end();
      this.#directories.leaveAll();
      await this.#flush();
      await this.#underWay;
      await metadata.finish();
    } finally {
      await this.#underWay.catch(() => {});
      await this.#syncing.catch(() => {});
      await this.#files.discard();
    }
    await this.#syncing;
    await this.#sync();
    this.#files.summarise();
    this.#others.summarise();
    metadata.summarise(tally);
  }

  /** Null: that is all. Most records are files in a directory that this restore made. */
  #record(record: TreeRecord): Promise<void> | null {
    interruptedIf(this.#context.stop);
    if (record.kind === 'continuation') this.#continuation(record);
    else {
      const { entry } = record;
      this.#files.end();
      this.#path = entry.path;
      if (!this.#addFresh(entry)) return this.#other(entry);
    }
    return this.#flushIfFull();
  }

  async #other(entry: Entry): Promise<void> {
    await this.#entry(entry);
    await this.#flushIfFull();
  }

  #flushIfFull(): Promise<void> | null {
    const { ids_per_message } = this.#context.world.limits;
    const manyLeft = this.#directories.leftCount >= Math.min(DIRECTORIES_MAX, ids_per_message);
    return this.#files.full || manyLeft ? this.#flush() : null;
  }

  #addFresh(entry: Entry): boolean {
    if (entry.type !== 'file' || !this.#directories.isFreshAt(entry.path)) return false;
    if (!isName(baseName(entry.path))) return false;
    this.#files.add(entry, FRESH);
    return true;
  }

  #continuation(record: ContinuationRecord): void {
    if (record.path === this.#path) return this.#files.more(record);
    this.#files.end();
    this.#path = record.path;
    const message = 'the tree has only later parts of the file: the page with its entry is lost or wrong';
    this.#context.tally.problem(record.path, { code: 'damaged-page', message });
  }

  async #entry(entry: Entry): Promise<void> {
    const { tally } = this.#context;
    if (entry.type === 'directory') {
      if ((await this.#directories.make(entry)) !== null) tally.directories++;
      return;
    }
    const level = await this.#directories.enter(entry.path);
    const place = await this.#placeFor(entry, level);
    if (entry.type !== 'file') {
      if (place !== null) await this.#others.restore(entry, place);
    } else if (place !== null) this.#files.add(entry, place);
    else tally.seen(entry.size);
  }

  async #placeFor(entry: Entry, level: Level): Promise<Place | null> {
    if (level.blocked !== null) {
      level.missed++;
      return null;
    }
    try {
      checkName(baseName(entry.path));
      return await placeFor(this.#context, entry, level);
    } catch (error) {
      this.#context.tally.problem(entry.path, ownError(error));
      return null;
    }
  }

  /** Starts to restore what was collected, once what was collected before has been read, and what came before that is done. */
  async #flush(): Promise<void> {
    await this.#reading;
    await this.#underWayBefore;
    const flush = this.#files.flush();
    this.#reading = flush.read;
    this.#underWayBefore = this.#underWay;
    this.#underWay = this.#restore(flush, this.#directories.takeLeft(), this.#underWay);
    // Looked at by whoever flushes later.
    this.#underWay.catch(() => {});
  }

  /** Content first, then the directories that nothing more is made in, deepest first. */
  async #restore(content: Flush, left: readonly Level[], before: Promise<void>): Promise<void> {
    const { tally, metadata } = this.#context;
    try {
      await content.done;
    } finally {
      await before;
    }
    this.#content += content.bytes;
    for (const level of left) {
      if (level.blocked !== null) tally.problem(level.path, blockedError(level, level.blocked));
      else if (level.entry !== null) await metadata.apply(level.entry);
    }
    tally.progress();
    const much = SYNC_CHUNKS * this.#context.world.limits.chunk_bytes_max;
    if (this.#written - this.#synced >= much && !this.#isSyncing) await this.#syncAside();
  }

  get #written(): number {
    return this.#content + this.#context.tally.files * FILE_BYTES;
  }

  /** Begins a sync, after a look at how the one before ended. */
  async #syncAside(): Promise<void> {
    await this.#syncing;
    this.#isSyncing = true;
    this.#syncing = this.#sync().finally(() => {
      this.#isSyncing = false;
    });
    this.#syncing.catch(() => {});
  }

  /** What could not be made durable may be lost, so it is a problem of the whole restore. */
  async #sync(): Promise<void> {
    const { target, tally } = this.#context;
    this.#synced = this.#written;
    try {
      await target.sync();
    } catch (error) {
      tally.problem(ROOT_PATH, ownError(error));
    }
  }
}

function blockedError({ missed }: Level, error: LowtideError): LowtideError {
  if (missed === 0) return error;
  const message = `${error.message}, so what is directly within it is not restored: ${missed} entries`;
  return new LowtideError(error.code, message, { cause: error });
}

function totalsOf({ signed }: RestorePlan, paths: readonly PathKey[]): ProgressTotals {
  if (paths[0] !== ROOT_PATH) return {};
  return { filesTotal: signed.manifest.counts.files, bytesTotal: signed.manifest.tree.bytes };
}

/** Nobody has anything there yet: then it may get the metadata of the snapshot's root. */
async function isUnused({ files }: World, root: PathKey): Promise<boolean> {
  try {
    return (await files.lstat(root)) === null || (await files.scan(root)).entries.length === 0;
  } catch (error) {
    ownError(error);
    return false;
  }
}

function explained(error: unknown, { files }: Tally): unknown {
  if (!isLowtideError(error, 'disk-full', 'interrupted')) return error;
  const message = `${error.message}; the ${files} files restored so far are complete, and the same restore goes on from there`;
  return new LowtideError(error.code, message, { cause: error });
}

function summarise({ fetcher, signed }: SnapshotTree, plan: RestorePlan, tally: Tally): void {
  for (const { code, message } of fetcher.faults()) tally.summary(ROOT_PATH, code, message);
  if (!signed.manifest.complete) {
    const message = 'the snapshot is partial: its backup stopped before it had read everything';
    tally.summary(ROOT_PATH, 'restore-incomplete', message);
  }
  if (tally.skipped > 0 && plan.overwrite === 'never') {
    const message =
      `${tally.skipped} names were taken and stay as they were, without a look at what they hold: ` +
      'to replace them, restore with --overwrite always';
    tally.summary(ROOT_PATH, 'target-exists', message);
  }
}
