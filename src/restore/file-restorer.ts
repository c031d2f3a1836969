import { type ContinuationRecord, keyOf, type TreeRecord } from '../format/tree-page.ts';
import { type Entry, extentLength } from '../model/entries.ts';
import { isLowtideError, type LowtideError } from '../model/errors.ts';
import { joinPath, type PathKey, pathComponents } from '../model/paths.ts';
import { FileJob, type Place } from './file-job.ts';
import { FileWindow, type Flush } from './file-window.ts';
import { isSameFile } from './found-twin.ts';
import type { LinkOrigin } from './link-groups.ts';
import { notMade, type RestoreContext } from './restore-context.ts';
import { interruptedIf, ownError } from './stop.ts';

const LINKS_MAX = 8192;

interface LinkToMake {
  readonly entry: Entry;
  readonly place: Place;
}

/**
 * Restores regular files. Data comes window by window; a further name of a hard-linked file is linked to the first
 * one that was restored, once that has its content, and is written as a file of its own if that is not possible.
 */
export class FileRestorer {
  readonly #context: RestoreContext;
  readonly #window: FileWindow;
  /** The file whose records are being read. */
  #current: FileJob | null = null;
  readonly #links: LinkToMake[] = [];
  /** Links and the extents that they carry. */
  #linkSize = 0;
  #linked: Promise<void> = Promise.resolve();
  #unlinked = 0;
  #firstUnlinked: { readonly path: PathKey; readonly error: LowtideError } | null = null;

  constructor(context: RestoreContext) {
    this.#context = context;
    this.#window = this.#newWindow();
  }

  get full(): boolean {
    const { ids_per_message } = this.#context.world.limits;
    return this.#window.full || this.#linkSize >= Math.min(LINKS_MAX, ids_per_message);
  }

  add(entry: Entry, place: Place): void {
    const { groups } = this.#context;
    if (groups.find(entry) !== null) {
      this.#links.push({ entry, place });
      this.#linkSize += 1 + entry.extents.length;
      return;
    }
    groups.set(entry);
    this.#current = this.#newJob(entry, place);
    this.#window.add(this.#current);
  }

  /** More of the file that was added last; nothing if that one is not written. */
  more({ offset, extents }: ContinuationRecord): void {
    if (this.#current !== null) this.#window.plan(this.#current, offset, extents);
  }

  /** The file that was added last has no more records. */
  end(): void {
    this.#current?.end();
    this.#current = null;
  }

  /** As of a window: what was added before the call. */
  flush(): Flush {
    const links = this.#links.splice(0);
    this.#linkSize = 0;
    const flush = this.#window.flush();
    this.#linked = this.#linkAll(links, flush.done, this.#linked);
    this.#linked.catch(() => {});
    return { ...flush, done: this.#linked };
  }

  /** Once all of them that were met before have their content. */
  async #linkAll(links: readonly LinkToMake[], done: Promise<void>, before: Promise<void>): Promise<void> {
    try {
      await done;
    } finally {
      await before;
    }
    for (const { entry, place } of links) {
      interruptedIf(this.#context.stop);
      await this.#link(entry, place);
    }
  }

  /** Leaves no temporary file behind. */
  discard(): Promise<void> {
    return this.#window.discard();
  }

  summarise(): void {
    if (this.#firstUnlinked === null) return;
    const { path, error } = this.#firstUnlinked;
    const message = `${this.#unlinked} hard links were restored as files of their own, this one first: ${error.message}`;
    this.#context.tally.summary(path, error.code, message);
  }

  #newWindow(): FileWindow {
    const { world, tree, plan, target } = this.#context;
    const done = (job: FileJob): Promise<void> | null => this.#done(job);
    return new FileWindow({ world, fetcher: tree.fetcher, keys: plan.keys, target, done });
  }

  #newJob(entry: Entry, place: Place): FileJob {
    const { target, metadata } = this.#context;
    return new FileJob(target, entry, place, () => metadata.wanted(entry));
  }

  #done(job: FileJob): Promise<void> | null {
    const { tally, metadata, groups } = this.#context;
    const { entry, failure, place } = job;
    tally.seen(entry.size);
    if (failure === null) {
      tally.files++;
      tally.bytes += entry.size;
      return metadata.told(entry, job.refusals);
    }
    groups.drop(entry, entry.path);
    notMade(this.#context, entry, place, failure);
    return null;
  }

  async #link(entry: Entry, place: Place): Promise<void> {
    const { target, tally, groups } = this.#context;
    const origin = groups.find(entry);
    if (origin === null || !(await this.#isOurs(entry, origin))) return this.#copy(entry, place);
    try {
      await target.link(entry.path, origin.path, place.replace);
      tally.files++;
      tally.links++;
      tally.seen(entry.size);
    } catch (error) {
      const own = ownError(error);
      if (isLowtideError(own, 'target-exists')) return notMade(this.#context, entry, place, own);
      groups.drop(entry, origin.path);
      this.#unlinked++;
      this.#firstUnlinked ??= { path: entry.path, error: own };
      await this.#copy(entry, place);
    }
  }

  /** A name that this restore found must be what the snapshot has there before anything is linked to it. */
  async #isOurs(entry: Entry, origin: LinkOrigin): Promise<boolean> {
    if (!origin.found) return true;
    const { groups, tree } = this.#context;
    const found = await tree.find(origin.path);
    const same = await this.#isSame(found).catch((error: unknown) => {
      ownError(error);
      return false;
    });
    groups.drop(entry, origin.path);
    if (found !== null && same) groups.set(found);
    return same;
  }

  async #isSame(found: Entry | null): Promise<boolean> {
    const { world, plan, target } = this.#context;
    const there = found === null ? null : await target.lstat(found.path);
    if (found === null || there === null) return false;
    const absolute = pathComponents(found.path).reduce(joinPath, plan.target);
    const { newest } = plan.keys;
    const { chunk_bytes_max } = world.limits;
    return isSameFile(world.files, absolute, there, found, this.#recordsOf(found), newest, chunk_bytes_max);
  }

  /** The file on its own, read from the tree once more: its further extents may have gone by. */
  async #copy(entry: Entry, place: Place): Promise<void> {
    this.#context.groups.set(entry);
    const job = this.#newJob(entry, place);
    const window = this.#newWindow();
    try {
      window.add(job);
      for await (const record of this.#recordsOf(entry)) {
        if (record.kind === 'continuation') window.plan(job, record.offset, record.extents);
        if (window.full) await window.flush().done;
      }
      job.end();
      await window.flush().done;
    } finally {
      await window.discard();
    }
  }

  async *#recordsOf(entry: Entry): AsyncGenerator<TreeRecord> {
    const listed = entry.extents.reduce((sum, extent) => sum + extentLength(extent), 0);
    if (listed >= entry.size) {
      yield { kind: 'entry', entry };
      return;
    }
    for await (const records of this.#context.tree.subtree(entry.path)) {
      for (const record of records) {
        if (keyOf(record).path !== entry.path) return;
        yield record;
      }
    }
  }
}
