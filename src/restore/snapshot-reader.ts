import type { KeyStore } from '../format/domain-keys.ts';
import type { SignedManifest } from '../format/manifest.ts';
import { keyOf, type TreeRecord } from '../format/tree-page.ts';
import type { Entry } from '../model/entries.ts';
import type { Problem } from '../model/events.ts';
import {
  afterSubtree,
  baseName,
  type ByteName,
  displayPath,
  isWithin,
  joinPath,
  parentPath,
  pathComponents,
  type PathKey,
  ROOT_PATH,
} from '../model/paths.ts';
import type { World } from '../world/ports.ts';
import { pathPattern } from './path-pattern.ts';
import type { NamedSource, SourceUsage } from './restore-plan.ts';
import { SnapshotTree } from './snapshot-tree.ts';

/** One name in a directory. */
export interface Listing {
  readonly name: ByteName;
  readonly path: PathKey;
  /** Null: a directory above the backup's roots, of which the snapshot has only what is within. */
  readonly entry: Entry | null;
}

/**
 * Looks into a snapshot without restoring it. Entries come in tree order and with their first extents only. A part of
 * the tree that is lost goes to the monitor and to `problems`, and the rest is read.
 */
export class SnapshotReader {
  readonly tree: SnapshotTree;
  readonly problems: Problem[] = [];

  constructor(
    world: World,
    signed: SignedManifest,
    keys: KeyStore,
    sources: readonly NamedSource[],
    stop: AbortSignal,
  ) {
    this.tree = new SnapshotTree(world, signed, keys, sources, stop, (path, { code, message }) => {
      const problem: Problem = { path: displayPath(path), code, message, severity: 'error' };
      this.problems.push(problem);
      world.monitor.problem(problem);
    });
  }

  /** What came from which source so far. */
  usage(): readonly SourceUsage[] {
    return this.tree.fetcher.usage();
  }

  /** The entry of exactly this path. */
  entry(path: PathKey): Promise<Entry | null> {
    return this.tree.find(path);
  }

  /**
   * `path` itself, if it has an entry, and everything within it.
   * @throws LowtideError `no-such-path`, and what reading the tree's top page throws
   */
  async *entries(path: PathKey = ROOT_PATH): AsyncGenerator<Entry> {
    await this.tree.open();
    await this.tree.check(path);
    for await (const records of this.tree.subtree(path)) {
      for (const record of records) if (record.kind === 'entry') yield record.entry;
    }
  }

  /** Entries that `pathPattern` finds in `path` and within it. Errors as `entries`. */
  async *find(pattern: string, path: PathKey = ROOT_PATH): AsyncGenerator<Entry> {
    const wanted = pathPattern(pattern);
    for await (const entry of this.entries(path)) if (wanted(entry.path)) yield entry;
  }

  /** What is directly in a directory, or the one entry of anything else. Errors as `entries`. */
  async *list(path: PathKey = ROOT_PATH): AsyncGenerator<Listing> {
    await this.tree.open();
    await this.tree.check(path);
    const own = await this.tree.find(path);
    if (own !== null && own.type !== 'directory') yield { name: baseName(path), path, entry: own };
    else yield* this.#children(path);
  }

  /** Skips what is deeper: where a page ends within a child, the next one read is where that child ends. */
  async *#children(directory: PathKey): AsyncGenerator<Listing> {
    let from: PathKey | null = directory;
    let last: PathKey | null = null;
    while (from !== null) {
      const start: PathKey = from;
      from = null;
      for await (const records of this.tree.from(start)) {
        for (const record of records) {
          const child = childOf(record, directory);
          if (child === null || child.path === last) continue;
          last = child.path;
          yield child;
        }
        const end = keyOf(records.at(-1)!).path;
        if (!isWithin(end, directory)) return;
        if (last !== null && end !== last && parentPath(end) !== directory) {
          from = afterSubtree(last);
          break;
        }
      }
    }
  }
}

/** The child of `directory` that a record is, or shows to be there. */
function childOf(record: TreeRecord, directory: PathKey): Listing | null {
  const { path } = keyOf(record);
  if (path === directory || !isWithin(path, directory)) return null;
  if (record.kind === 'entry' && parentPath(path) === directory) {
    return { name: baseName(path), path, entry: record.entry };
  }
  const name = pathComponents(path)[pathComponents(directory).length]!;
  return { name, path: joinPath(directory, name), entry: null };
}
