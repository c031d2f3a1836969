import type { ContinuationRecord, TreeRecord } from '../../format/tree-page.ts';
import { type Entry, extentLength } from '../../model/entries.ts';
import { joinPath, type PathKey } from '../../model/paths.ts';
import type { EntryReader } from '../../world/source/packed-entries.ts';
import type { ScannedEntry } from '../../world/ports.ts';
import { Background } from '../ahead.ts';
import { BaseCursor, type BasePage } from './cursor.ts';
import type { Base } from './tree.ts';
import type { Limits } from '../../model/limits.ts';
import type { UnixMillis } from '../../model/time.ts';
import { entryOf, type Found, isSame, NANOS_PER_MILLI } from '../read/entry-of.ts';
import { FoundFile } from '../read/found-file.ts';
import { FileSystems } from '../read/hard-links.ts';
import type { Renewal } from '../blocks/sparse-blocks.ts';
import type { Step } from '../steps.ts';
import { SameEntries } from './same-entries.ts';
import type { Walked, WalkedEntry, WalkedSpan } from '../walk/walk.ts';

const BATCH = 512;

/**
 * Joins the walk with the base's tree: a file whose stat is equal is carried over with its extents, without a lookup
 * and without being opened. An unsettled entry is no proof of anything (format F25). A file of which the base
 * has only the first part (partial, or the rest was on a damaged page) is read from there on.
 */
export async function* mergeWithBase(
  walked: AsyncIterable<readonly Walked[]>,
  base: Base | null,
  renewal: Renewal,
  { unsettled_ms, chunk_bytes_min }: Pick<Limits, 'unsettled_ms' | 'chunk_bytes_min'>,
): AsyncGenerator<Step[]> {
  const background = new Background();
  const cursor = base === null ? null : new BaseCursor(base, background);
  const settledBefore = (base?.details.startedAt ?? 0) - unsettled_ms;
  const merge = new Merge(cursor, renewal, settledBefore, chunk_bytes_min);
  try {
    for await (const batch of walked) {
      for (const item of batch) {
        if (item.kind === 'problem') merge.addProblem(item);
        else if (item.kind === 'span') yield* merge.addSpan(item);
        else {
          const more = merge.add(item);
          if (more !== undefined) yield* more;
        }
        if (merge.isFull) yield merge.takeSteps();
      }
      if (!merge.isEmpty) yield merge.takeSteps();
    }
    merge.endRun();
    if (!merge.isEmpty) yield merge.takeSteps();
  } finally {
    await cursor?.close();
    await background.settled();
  }
}

/** The last of it is kept as it was found: its path is made when the run ends. */
interface OpenRun {
  readonly page: BasePage;
  readonly from: number;
  to: number;
  readonly first: PathKey;
  directory: PathKey;
  entries: EntryReader;
  number: number;
}

class Merge {
  readonly #cursor: BaseCursor | null;
  readonly #renewal: Renewal;
  /** What has not changed since, nobody changed unseen while the base was taken. */
  readonly #settledBefore: UnixMillis;
  readonly #smallest: number;
  readonly #fileSystems = new FileSystems();
  readonly #same: SameEntries | null;
  /** Entries that are as they were, up to here. */
  #run: OpenRun | null = null;
  #steps: Step[] = [];

  constructor(cursor: BaseCursor | null, renewal: Renewal, settledBefore: UnixMillis, smallest: number) {
    this.#smallest = smallest;
    this.#cursor = cursor;
    this.#renewal = renewal;
    this.#settledBefore = settledBefore;
    this.#same = cursor === null ? null : new SameEntries(cursor, this.#fileSystems, renewal, settledBefore);
  }

  get isFull(): boolean {
    return this.#steps.length >= BATCH;
  }

  get isEmpty(): boolean {
    return this.#steps.length === 0;
  }

  takeSteps(): Step[] {
    const steps = this.#steps;
    this.#steps = [];
    return steps;
  }

  addProblem(item: Extract<Walked, { readonly kind: 'problem' }>): void {
    this.#push(item);
  }

  async *addSpan(span: WalkedSpan): AsyncGenerator<Step[]> {
    const { directory, entries, from, to } = span;
    this.#same?.enter(directory);
    for (let number = from; number < to; number++) {
      let same = this.#same === null ? false : this.#same.find(entries, number);
      if (typeof same !== 'boolean') same = await same;
      if (same) {
        this.#extendRun(span, number);
        continue;
      }
      const path = joinPath(directory, entries.nameAt(number));
      if (this.#isPlain(path, entries, number)) {
        this.#push({
          kind: 'found',
          file: new FoundFile(path, entries, number, this.#numberOf(entries, number)),
        });
        continue;
      }
      const more = this.add({ kind: 'entry', path, stat: entries.entryAt(number) });
      if (more !== undefined) yield* more;
      if (this.isFull) yield this.takeSteps();
    }
  }

  /** A small file of one name of which the base has nothing to keep, as far as `find` has just seen. */
  #isPlain(path: PathKey, entries: EntryReader, number: number): boolean {
    if (!entries.isFileAt(number) || entries.linksAt(number) !== 1) return false;
    if (entries.sizeAt(number) >= this.#smallest) return false;
    return this.#same?.isKnown !== true || this.#baseEntry(path, entries.entryAt(number)) === null;
  }

  #numberOf(entries: EntryReader, number: number): number {
    return this.#same?.fileSystem ?? this.#fileSystems.numberOf(entries.deviceAt(number));
  }

  /** By the entry that the cursor stands at. */
  #extendRun({ directory, entries }: WalkedSpan, number: number): void {
    const cursor = this.#cursor!;
    const page = cursor.page!;
    const { at } = cursor;
    let run = this.#run;
    if (run === null || run.page !== page || run.to !== at) {
      this.endRun();
      const first = joinPath(directory, entries.nameAt(number));
      run = { page, from: at, to: at, first, directory, entries, number };
      this.#run = run;
    }
    run.to = at + 1;
    run.directory = directory;
    run.entries = entries;
    run.number = number;
    cursor.step();
  }

  /** Entries that are as they were stay together up to here, so that whole pages do. */
  endRun(): void {
    const run = this.#run;
    if (run === null) return;
    this.#run = null;
    const { page, from, to, first } = run;
    const last = joinPath(run.directory, run.entries.nameAt(run.number));
    this.#steps.push({ kind: 'carried', run: { page, from, to, first, last } });
  }

  #push(step: Step): void {
    this.endRun();
    this.#steps.push(step);
  }

  /** Adds the steps of one name. What it gives back, if anything, must be run through: it yields full batches. */
  add(item: WalkedEntry): AsyncGenerator<Step[]> | undefined {
    const found = foundOf(item, this.#fileSystems.numberOf(item.stat.device));
    const loading = this.#cursor?.seek(item.path);
    return loading === undefined ? this.#addFound(item, found) : this.#addLater(loading, item, found);
  }

  async *#addLater(loading: Promise<void>, item: WalkedEntry, found: Found): AsyncGenerator<Step[]> {
    await loading;
    const more = this.#addFound(item, found);
    if (more !== undefined) yield* more;
  }

  #addFound(item: WalkedEntry, found: Found): AsyncGenerator<Step[]> | undefined {
    if (item.stat.type === 'file') return this.#addFile(item, found);
    const extra = this.#knownExtra(item);
    const entry = entryOf(extra === undefined ? found : { ...found, extra });
    this.#push({ kind: 'entry', entry, birth: item.stat.birth });
    return undefined;
  }

  /** The attributes of what is no file, from the base: such entries are never unsettled, so what was fresh then is not. */
  #knownExtra({ path, stat }: WalkedEntry): Uint8Array | undefined {
    const record = this.#cursor?.current;
    if (record?.kind !== 'entry' || record.entry.path !== path || !isSame(record.entry, stat))
      return undefined;
    return stat.ctime < BigInt(this.#settledBefore) * NANOS_PER_MILLI ? record.entry.extra : undefined;
  }

  #addFile(item: WalkedEntry, fresh: Found): AsyncGenerator<Step[]> | undefined {
    const entry = this.#unchanged(item);
    if (entry === null) {
      this.#push({ kind: 'read', ...fresh, stat: item.stat, from: 0, fallback: null });
      return undefined;
    }
    const found = entry.extra === undefined ? fresh : { ...fresh, extra: entry.extra };
    const covered = lengthOf(entry.extents);
    if (entry.partial || covered < entry.size) return this.#keep(item, found, entry, covered);
    const carried = refreshed(entry, found);
    if (!this.#renewal.wants(entry)) this.#push({ kind: 'carry', entry: carried, birth: item.stat.birth });
    else this.#push({ kind: 'read', ...found, stat: item.stat, from: 0, fallback: carried });
    return undefined;
  }

  /** The same; the cursor goes behind it. */
  #unchanged({ path, stat }: WalkedEntry): Entry | null {
    const entry = this.#baseEntry(path, stat);
    if (entry !== null) this.#cursor?.step();
    return entry;
  }

  /** The base's entry of a file, if the cursor is at it and its stat is equal. */
  #baseEntry(path: PathKey, stat: ScannedEntry): Entry | null {
    const record = this.#cursor?.current;
    if (record?.kind !== 'entry' || record.entry.path !== path) return null;
    return record.entry.unsettled || !isSame(record.entry, stat) ? null : record.entry;
  }

  /** A file with continuation records. */
  async *#keep(item: WalkedEntry, found: Found, entry: Entry, covered: number): AsyncGenerator<Step[]> {
    let from = covered;
    this.#push({ kind: 'kept', extents: entry.extents });
    for (;;) {
      await this.#cursor?.seek(entry.path);
      const record = this.#cursor?.current;
      if (!isContinuation(record, entry, from)) break;
      this.#cursor?.step();
      from += lengthOf(record.extents);
      this.#push({ kind: 'kept', extents: record.extents });
      if (this.isFull) yield this.takeSteps();
    }
    if (from === entry.size && !entry.partial) {
      const carried = { ...refreshed(entry, found), extents: [] };
      this.#push({ kind: 'carry', entry: carried, birth: item.stat.birth });
    } else this.#push({ kind: 'read', ...found, stat: item.stat, from, fallback: null });
  }
}

function foundOf({ path, stat }: WalkedEntry, fileSystem: number): Found {
  return { path, stat, fileSystem, ...(stat.target === undefined ? {} : { target: stat.target }) };
}

function isContinuation(
  record: TreeRecord | null | undefined,
  entry: Entry,
  from: number,
): record is ContinuationRecord {
  return record?.kind === 'continuation' && record.path === entry.path && record.offset === from;
}

function lengthOf(extents: Entry['extents']): number {
  let length = 0;
  for (const extent of extents) length += extentLength(extent);
  return length;
}

/** What the fresh lstat says of mode, owner and links stands; on an honest file system it is what the base says. */
function refreshed(entry: Entry, found: Found): Entry {
  const { mode, uid, gid, links } = found.stat;
  const linked = links > 1 ? found.fileSystem : undefined;
  const same = entry.mode === mode && entry.uid === uid && entry.gid === gid;
  if (same && entry.link?.fileSystem === linked) return entry;
  return { ...entryOf(found), extents: entry.extents };
}
