import { NO_BYTES } from '../../model/bytes.ts';
import type { Entry } from '../../model/entries.ts';
import type { ChunkDigest } from '../../model/ids.ts';
import type { World } from '../../world/ports.ts';
import { later } from '../ahead.ts';
import type { AskedFiles, AttributeReader } from './attributes.ts';
import { entryOf, isFresh, isFreshAt } from './entry-of.ts';
import { type FoundFile, foundFile } from './found-file.ts';
import type { Reading } from './file-reader.ts';
import { type LinkKey, linkKeyOf, PerInode } from './hard-links.ts';
import type { SmallRead } from './read-file.ts';
import { SmallFileReader } from './read-small.ts';
import type { Slab, SlabPool } from './slabs.ts';
import type { ReadStep, Step } from '../steps.ts';
import { digestAt, digestTask } from './tasks.ts';

/** Steps that go on together, with their small files read and digested in one piece of memory. */
export interface Group {
  readonly items: readonly GroupItem[];
  /** What the small files are read into. */
  readonly bytes: Uint8Array;
  readonly small: Promise<SmallFiles>;
  /** To be called when the group has been dealt with. */
  readonly release: () => void;
}

export type GroupItem =
  | Exclude<Step, ReadStep | { readonly kind: 'found' }>
  /** A file without content. */
  | { readonly kind: 'empty'; readonly file: FoundFile; readonly unsettled: boolean }
  | {
      readonly kind: 'large';
      readonly step: ReadStep;
      readonly link: LinkKey | null;
      readonly reading: Reading;
    }
  | SmallItem
  /** A further name of a file that a step before has read, unless that failed. */
  | { readonly kind: 'again'; readonly step: ReadStep; readonly link: LinkKey };

export interface SmallItem {
  readonly kind: 'small';
  readonly file: FoundFile;
  /** Null if it is as plain as a FoundFile must be. */
  readonly step: ReadStep | null;
  /** Where its bytes are in the group's memory: good until the group is released. */
  readonly place: number;
  /** Set if further names may follow. */
  readonly link: LinkKey | null;
}

/** The small files of a group, once they have been read. */
export interface SmallFiles {
  /** One for each `small` item, in order. */
  readonly results: readonly SmallResult[];
  /** To be described before they are written. */
  readonly asked: AskedFiles;
}

export interface SmallResult {
  readonly read: SmallRead;
  /** Null if there is no chunk: what is small enough goes into the tree itself. */
  readonly digest: ChunkDigest | null;
}

const ITEMS_MAX = 512;

/**
 * Reads files ahead of whoever takes the groups: small ones several at once, and has them digested; those of at least
 * `chunk_bytes_min` bytes by `readLarge`.
 */
export async function* prefetch(
  world: World,
  steps: AsyncIterable<readonly Step[]>,
  slabs: SlabPool,
  chunkKey: Uint8Array,
  attributes: AttributeReader,
  readLarge: (step: ReadStep) => Reading,
): AsyncGenerator<Group> {
  const prefetcher = new Prefetcher(world, chunkKey, attributes, readLarge);
  for await (const batch of steps) {
    for (const step of batch) {
      if (prefetcher.isFull(step)) yield prefetcher.takeGroup();
      const adding = prefetcher.add(step, slabs);
      if (adding !== undefined) await adding;
    }
  }
  yield prefetcher.takeGroup();
}

class Prefetcher {
  readonly #world: World;
  readonly #chunkKey: Uint8Array;
  readonly #attributes: AttributeReader;
  readonly #readLarge: (step: ReadStep) => Reading;
  readonly #smallFiles: SmallFileReader;
  /** Inodes with several names of which one is being read. */
  readonly #links = new PerInode<true>();
  #items: GroupItem[] = [];
  #small: SmallItem[] = [];
  /** In all items together. */
  #entries = 0;
  #slab: Slab | null = null;
  #used = 0;

  constructor(
    world: World,
    chunkKey: Uint8Array,
    attributes: AttributeReader,
    readLarge: (step: ReadStep) => Reading,
  ) {
    this.#world = world;
    this.#chunkKey = chunkKey;
    this.#attributes = attributes;
    this.#readLarge = readLarge;
    this.#smallFiles = new SmallFileReader(world);
  }

  /** Whether a group must be taken before this step can be added. */
  isFull(step: Step): boolean {
    if (this.#entries >= ITEMS_MAX) return true;
    return this.#slab !== null && this.#used + this.#smallSize(step) > this.#slab.bytes.length;
  }

  /** Waits for memory or for files to be read, if need be. */
  add(step: Step, slabs: SlabPool): Promise<void> | undefined {
    this.#entries += step.kind === 'carried' ? step.run.to - step.run.from : 1;
    if (step.kind === 'found') return this.#addFound(step.file, slabs);
    if (step.kind !== 'read') {
      this.#items.push(step);
      return undefined;
    }
    if (step.stat.size === 0) {
      this.#items.push({ kind: 'entry', entry: this.#emptyEntry(step) });
      return undefined;
    }
    const link = step.stat.links > 1 ? linkKeyOf(step.stat) : null;
    if (link !== null && step.from === 0 && this.#links.take(link) !== undefined) {
      this.#items.push({ kind: 'again', step, link });
      return undefined;
    }
    const kept = link !== null && this.#links.keep(link, step.stat.links, true) ? link : null;
    if (this.#isSmall(step)) return this.#addSmall(foundFile(step), step, kept, slabs);
    this.#items.push({ kind: 'large', step, link: kept, reading: this.#readLarge(step) });
    return undefined;
  }

  takeGroup(): Group {
    const small = this.#small;
    const slab = this.#slab;
    const group = {
      items: this.#items,
      bytes: slab?.bytes ?? NO_BYTES,
      small: later(this.#results(small, slab)),
      release: () => slab?.release(),
    };
    this.#items = [];
    this.#small = [];
    this.#entries = 0;
    this.#slab = null;
    this.#used = 0;
    return group;
  }

  /** Nothing needs to be opened to know what is in it. */
  #emptyEntry(step: ReadStep): Entry {
    const { clock, limits } = this.#world;
    return { ...entryOf(step), unsettled: isFresh(step.stat, clock.now(), limits.unsettled_ms) };
  }

  /** A file of which a part is stored is read from there. */
  #isSmall(step: Step): step is ReadStep {
    return step.kind === 'read' && step.from === 0 && step.stat.size < this.#world.limits.chunk_bytes_min;
  }

  /** What a step needs of the memory for small files. */
  #smallSize(step: Step): number {
    if (step.kind === 'found') return step.file.size;
    return this.#isSmall(step) ? step.stat.size : 0;
  }

  #addFound(file: FoundFile, slabs: SlabPool): Promise<void> | undefined {
    if (file.size > 0) return this.#addSmall(file, null, null, slabs);
    const { clock, limits } = this.#world;
    const changes = file.entries.changesAt(file.number);
    const unsettled = isFreshAt(changes, clock.now(), limits.unsettled_ms);
    this.#items.push({ kind: 'empty', file, unsettled });
    return undefined;
  }

  #addSmall(
    file: FoundFile,
    step: ReadStep | null,
    link: LinkKey | null,
    slabs: SlabPool,
  ): Promise<void> | undefined {
    if (this.#slab === null) return this.#addToNew(file, step, link, slabs);
    const item: SmallItem = { kind: 'small', file, step, place: this.#used, link };
    this.#used += file.size;
    this.#small.push(item);
    this.#items.push(item);
    return undefined;
  }

  async #addToNew(
    file: FoundFile,
    step: ReadStep | null,
    link: LinkKey | null,
    slabs: SlabPool,
  ): Promise<void> {
    this.#slab = await slabs.take();
    await this.#addSmall(file, step, link, slabs);
  }

  async #results(small: readonly SmallItem[], slab: Slab | null): Promise<SmallFiles> {
    const results: SmallResult[] = [];
    const ranges: number[] = [];
    const chunks: number[] = [];
    const reads = slab === null ? [] : await this.#smallFiles.read(small, slab.bytes);
    const asked = this.#attributes.askOf(
      small.map(({ file }) => file),
      (at) => isBare(reads[at]!),
    );
    for (const [at, read] of reads.entries()) {
      const { file, place } = small[at]!;
      const size = read.kind === 'as found' ? file.size : read.kind === 'read' ? read.stat.size : 0;
      if (size > this.#world.limits.inline_bytes_max) {
        chunks.push(at);
        ranges.push(place, size);
      }
      results.push({ read, digest: null });
    }
    if (slab === null || chunks.length === 0) return { results, asked };
    const digests = await this.#world.work.run(digestTask, {
      key: this.#chunkKey,
      bytes: slab.bytes,
      ranges,
    });
    for (const [i, at] of chunks.entries()) results[at] = { ...results[at]!, digest: digestAt(digests, i) };
    return { results, asked };
  }
}

const isBare = (read: SmallRead): boolean => read.kind === 'as found' && read.bare;
