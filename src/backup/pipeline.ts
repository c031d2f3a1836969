import type { Entry } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import type { ChunkDigest } from '../model/ids.ts';
import type { World } from '../world/ports.ts';
import { ahead, Background } from './ahead.ts';
import type { AttributeReader } from './read/attributes.ts';
import type { ChunkStore } from './chunks/chunk-store.ts';
import type { Emitter, PendingExtent } from './output/emitter.ts';
import { entryOf, isSame } from './read/entry-of.ts';
import type { FoundFile } from './read/found-file.ts';
import { cutRuleOf } from './read/gear.ts';
import { type LinkKey, PerInode } from './read/hard-links.ts';
import type { KnownPlace, Question } from './chunks/known-chunks.ts';
import type { Reading } from './read/file-reader.ts';
import { LargeFiles } from './read/large-file.ts';
import type { BackupPlan } from './plan.ts';
import { type Group, type GroupItem, prefetch, type SmallItem, type SmallResult } from './read/prefetch.ts';
import type { Problems } from './problems.ts';
import { changedWhileRead } from './read/read-file.ts';
import { SlabPool } from './read/slabs.ts';
import type { CarriedRun, ReadStep, Step } from './steps.ts';

export interface PipelineParts {
  readonly world: World;
  readonly plan: Pick<BackupPlan, 'keys'>;
  readonly store: ChunkStore;
  readonly emitter: Emitter;
  readonly attributes: AttributeReader;
  readonly problems: Problems;
  readonly stop: AbortSignal;
}

type Known = ReadonlyMap<ChunkDigest, KnownPlace>;

const GROUPS_AHEAD = 3;

/**
 * Takes the steps of a walk to their end: reading and computing go ahead, several at once; what decides anything
 * happens here, one step after another in walk order, so that the result is the same however many lanes there are.
 */
export class Pipeline {
  readonly #parts: PipelineParts;
  readonly #background = new Background();
  readonly #smallSlabs: SlabPool;
  readonly #large: LargeFiles;
  /** Files with several names whose content was pushed. */
  readonly #linked = new PerInode<Entry>();
  #isCut = false;
  #files = 0;
  #bytes = 0;
  unchanged = 0;

  constructor(parts: PipelineParts) {
    const { world, plan } = parts;
    const { limits } = world;
    const rule = cutRuleOf(limits);
    this.#parts = parts;
    this.#smallSlabs = new SlabPool(
      Math.max(limits.block_plain_bytes, limits.chunk_bytes_min),
      GROUPS_AHEAD + 2,
    );
    const context = { world, keys: plan.keys, rule };
    this.#large = new LargeFiles({ ...parts, context, onBytes: (bytes) => this.#onBytes(bytes) });
  }

  /** Every record has been written when this resolves, up to where the quota ended it. */
  async run(steps: AsyncGenerator<readonly Step[]>): Promise<void> {
    const { world, plan, store, emitter, attributes } = this.#parts;
    try {
      const readLarge = (step: ReadStep): Reading => this.#large.ahead(step);
      const groups = prefetch(world, steps, this.#smallSlabs, plan.keys.chunk, attributes, readLarge);
      for await (const group of ahead(groups, GROUPS_AHEAD, this.#background)) {
        await this.#handleGroup(group);
        if (this.#isCut) break;
      }
      await store.finish();
      await emitter.drain();
    } finally {
      this.#smallSlabs.close();
      await this.#large.close();
      await this.#background.settled();
    }
  }

  async #handleGroup(group: Group): Promise<void> {
    const { store, emitter, attributes } = this.#parts;
    const { results, asked } = await group.small;
    await attributes.describe(asked);
    await store.tidy();
    const known = await store.findKnown(results.flatMap(questionOf));
    let next = 0;
    for (const item of group.items) {
      const working =
        item.kind === 'small' ? this.#small(group, item, results[next++]!, known) : this.#handle(item);
      if (working !== undefined) await working;
      if (this.#isCut) return;
      store.passed();
      const storing = store.settle();
      if (storing !== undefined) await storing;
    }
    group.release();
    await emitter.drain();
    this.#onBytes(0);
  }

  #handle(item: Exclude<GroupItem, SmallItem>): Promise<void> | undefined {
    const { emitter, problems } = this.#parts;
    switch (item.kind) {
      case 'entry':
        emitter.push(item);
        this.#files++;
        return undefined;
      case 'empty':
        emitter.push({ kind: 'found', file: item.file, unsettled: item.unsettled, extent: null });
        this.#files++;
        return undefined;
      case 'carry':
        this.#carry(item.entry);
        return undefined;
      case 'carried':
        this.#carryRun(item.run);
        return undefined;
      case 'kept':
        emitter.push(item);
        return undefined;
      case 'problem':
        problems.add(item);
        return undefined;
      case 'large':
        return this.#storeLarge(item.step, item.link, item.reading);
      default:
        return this.#again(item.step, item.link);
    }
  }

  #carryRun(run: CarriedRun): void {
    const { emitter, store } = this.#parts;
    emitter.push({ kind: 'carried', run });
    const { files, directories, others, bytes } = run.page.view.tally(run.from, run.to);
    this.#files += files + directories + others;
    this.#bytes += bytes;
    this.unchanged += files;
    store.passed(run.to - run.from - 1);
  }

  /** Without extents of its own it has those that were kept before, or none. */
  #carry(entry: Entry): void {
    const { emitter } = this.#parts;
    if (entry.extents.length > 0) emitter.push({ kind: 'entry', entry });
    else emitter.push({ kind: 'end', entry, keep: null });
    this.#files++;
    this.#bytes += entry.size;
    this.unchanged++;
  }

  #small(
    group: Group,
    item: SmallItem,
    { read, digest }: SmallResult,
    known: Known,
  ): Promise<void> | undefined {
    const { problems } = this.#parts;
    if (read.kind === 'as found' && item.step === null) {
      return this.#storeFound(group, item, read.unsettled, digest, known);
    }
    const step = item.step ?? item.file.step();
    if (read.kind === 'grown') return this.#storeLarge(step, item.link, null);
    if (read.kind === 'failed') {
      if (step.fallback === null) problems.add(read.problem);
      else this.#carry(step.fallback);
      return undefined;
    }
    const stat = read.kind === 'read' ? read.stat : step.stat;
    if (read.kind === 'read' && read.torn) problems.add(changedWhileRead(step.path));
    // What the attributes are of may be older than the content.
    const entry = { ...entryOf({ ...step, stat }), unsettled: read.unsettled || !isSame(stat, step.stat) };
    const bytes = group.bytes.subarray(item.place, item.place + stat.size);
    return this.#storeSmall(entry, step, item.link, bytes, digest, known);
  }

  /** A plain file, of which only its bytes are known. */
  #storeFound(
    group: Group,
    { file, place }: SmallItem,
    unsettled: boolean,
    digest: ChunkDigest | null,
    known: Known,
  ): Promise<void> | undefined {
    const { store } = this.#parts;
    const bytes = group.bytes.subarray(place, place + file.size);
    if (digest === null) {
      this.#endFound(file, unsettled, { kind: 'inline', bytes: bytes.slice() });
      return undefined;
    }
    const extent = store.place(digest, file.size, known);
    if (extent !== null) {
      this.#endFound(file, unsettled, extent);
      return undefined;
    }
    const finish = (isFull: boolean): void => {
      if (isFull) this.#cut({ ...entryOf(file.step()), unsettled });
      else
        this.#endFound(
          file,
          unsettled,
          store.store(digest, bytes, () => () => undefined),
        );
    };
    const full = store.isFull();
    if (typeof full !== 'boolean') return full.then(finish);
    finish(full);
    return undefined;
  }

  #endFound(file: FoundFile, unsettled: boolean, extent: PendingExtent): void {
    this.#parts.emitter.push({ kind: 'found', file, unsettled, extent });
    this.#files++;
    this.#bytes += file.size;
  }

  #storeSmall(
    entry: Entry,
    step: ReadStep,
    link: LinkKey | null,
    bytes: Uint8Array,
    digest: ChunkDigest | null,
    known: Known,
  ): Promise<void> | undefined {
    const { emitter, store } = this.#parts;
    if (digest !== null) {
      const extent = store.place(digest, bytes.length, known);
      if (extent === null) return this.#storeNew(entry, step, link, digest, bytes);
      emitter.push({ kind: 'extent', extent });
    } else if (bytes.length > 0) {
      emitter.push({ kind: 'extent', extent: { kind: 'inline', bytes: bytes.slice() } });
    }
    this.#end(entry, step, link);
    return undefined;
  }

  #storeNew(
    entry: Entry,
    step: ReadStep,
    link: LinkKey | null,
    digest: ChunkDigest,
    bytes: Uint8Array,
  ): Promise<void> | undefined {
    const { emitter, store } = this.#parts;
    const finish = (isFull: boolean): void => {
      if (isFull) {
        this.#cut(entry);
        return;
      }
      // Less than the least chunk: it is copied into a run at once.
      emitter.push({ kind: 'extent', extent: store.store(digest, bytes, () => () => undefined) });
      this.#end(entry, step, link);
    };
    const full = store.isFull();
    if (typeof full !== 'boolean') return full.then(finish);
    finish(full);
    return undefined;
  }

  async #storeLarge(step: ReadStep, link: LinkKey | null, reading: Reading | null): Promise<void> {
    const result = await this.#large.store(step, reading);
    if (result.kind === 'cut') this.#cut(result.entry);
    else if (result.kind === 'stored') this.#end(result.entry, step, link);
    else if (step.fallback !== null) this.#carry(step.fallback);
  }

  /** A further name of an inode: the content is not read again if it was stored and is still the same. */
  #again(step: ReadStep, link: LinkKey): Promise<void> | undefined {
    const first = this.#linked.take(link);
    if (first === undefined || !isSame(first, step.stat)) return this.#storeLarge(step, null, null);
    const entry = { ...entryOf(step), unsettled: first.unsettled };
    this.#parts.emitter.push({ kind: 'again', entry, key: link, isLast: !this.#linked.has(link) });
    this.#files++;
    return undefined;
  }

  #end(entry: Entry, step: ReadStep, link: LinkKey | null): void {
    const keep = link !== null && this.#linked.keep(link, step.stat.links, entry) ? link : null;
    this.#parts.emitter.push({ kind: 'end', entry, keep });
    this.#files++;
    this.#bytes += step.stat.size < this.#parts.world.limits.chunk_bytes_min ? entry.size : 0;
  }

  #cut(entry: Entry): void {
    this.#parts.emitter.push({ kind: 'cut', entry });
    this.#isCut = true;
  }

  #onBytes(bytes: number): void {
    const { stop, world } = this.#parts;
    if (stop.aborted) throw new LowtideError('interrupted', 'the backup was stopped: nothing was committed');
    this.#bytes += bytes;
    world.monitor.progress({ doing: 'backup', files: this.#files, bytes: this.#bytes });
  }
}

function questionOf({ digest }: SmallResult): Question[] {
  return digest === null ? [] : [{ digest, isSmallFile: true }];
}
