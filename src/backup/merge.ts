import type { ContinuationRecord, TreeRecord } from '../format/tree-page.ts';
import { type Entry, extentLength } from '../model/entries.ts';
import { BaseCursor, type Base } from './base-tree.ts';
import { entryOf, type Found, isSame } from './entry-of.ts';
import { FileSystems } from './hard-links.ts';
import type { Renewal } from './sparse-blocks.ts';
import type { Step } from './steps.ts';
import type { Walked, WalkedEntry } from './walk.ts';

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
): AsyncGenerator<Step[]> {
  const merge = new Merge(base === null ? null : new BaseCursor(base.tree), renewal);
  for await (const batch of walked) {
    for (const item of batch) {
      if (item.kind === 'problem') merge.steps.push(item);
      else {
        const more = merge.add(item);
        if (more !== undefined) yield* more;
      }
      if (merge.steps.length >= BATCH) yield merge.takeSteps();
    }
    if (merge.steps.length > 0) yield merge.takeSteps();
  }
}

class Merge {
  readonly #cursor: BaseCursor | null;
  readonly #renewal: Renewal;
  readonly #fileSystems = new FileSystems();
  steps: Step[] = [];

  constructor(cursor: BaseCursor | null, renewal: Renewal) {
    this.#cursor = cursor;
    this.#renewal = renewal;
  }

  takeSteps(): Step[] {
    const steps = this.steps;
    this.steps = [];
    return steps;
  }

  /** Adds the steps of one name. What it gives back, if anything, must be run through: it yields full batches. */
  add(item: WalkedEntry): AsyncGenerator<Step[]> | undefined {
    const found = foundOf(item, this.#fileSystems.numberOf(item.stat.device));
    if (item.stat.type !== 'file') {
      this.steps.push({ kind: 'entry', entry: entryOf(found) });
      return undefined;
    }
    const loading = this.#cursor?.seek(item.path);
    return loading === undefined ? this.#addFile(item, found) : this.#addLater(loading, item, found);
  }

  async *#addLater(loading: Promise<void>, item: WalkedEntry, found: Found): AsyncGenerator<Step[]> {
    await loading;
    const more = this.#addFile(item, found);
    if (more !== undefined) yield* more;
  }

  #addFile(item: WalkedEntry, found: Found): AsyncGenerator<Step[]> | undefined {
    const entry = this.#unchanged(item);
    if (entry === null) {
      this.steps.push({ kind: 'read', ...found, stat: item.stat, from: 0, fallback: null });
      return undefined;
    }
    const covered = lengthOf(entry.extents);
    if (entry.partial || covered < entry.size) return this.#keep(item, found, entry, covered);
    const carried = refreshed(entry, found);
    if (!this.#renewal.wants(entry)) this.steps.push({ kind: 'carry', entry: carried });
    else this.steps.push({ kind: 'read', ...found, stat: item.stat, from: 0, fallback: carried });
    return undefined;
  }

  /** The base's entry of a file, if its stat is equal; the cursor goes behind it. */
  #unchanged(item: WalkedEntry): Entry | null {
    const record = this.#cursor?.current;
    if (record?.kind !== 'entry' || record.entry.path !== item.path) return null;
    if (record.entry.unsettled || !isSame(record.entry, item.stat)) return null;
    this.#cursor?.step();
    return record.entry;
  }

  /** A file with continuation records. */
  async *#keep(item: WalkedEntry, found: Found, entry: Entry, covered: number): AsyncGenerator<Step[]> {
    let from = covered;
    this.steps.push({ kind: 'kept', extents: entry.extents });
    for (;;) {
      await this.#cursor?.seek(entry.path);
      const record = this.#cursor?.current;
      if (!isContinuation(record, entry, from)) break;
      this.#cursor?.step();
      from += lengthOf(record.extents);
      this.steps.push({ kind: 'kept', extents: record.extents });
      if (this.steps.length >= BATCH) yield this.takeSteps();
    }
    if (from === entry.size && !entry.partial) {
      this.steps.push({ kind: 'carry', entry: { ...refreshed(entry, found), extents: [] } });
    } else this.steps.push({ kind: 'read', ...found, stat: item.stat, from, fallback: null });
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
  const { extra, extents } = entry;
  return { ...entryOf(found), ...(extra === undefined ? {} : { extra }), extents };
}
