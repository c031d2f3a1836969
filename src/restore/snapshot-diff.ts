import { compareKeys, keyOf, type TreeRecord } from '../format/tree-page.ts';
import { decodeAttributes, encodeAttributes } from '../format/attributes.ts';
import { equalBytes } from '../model/bytes.ts';
import type { Entry, Extent } from '../model/entries.ts';
import type { PathKey } from '../model/paths.ts';
import type { SnapshotTree } from './snapshot-tree.ts';
import { TreeCursor, type TreeStep } from './tree-cursor.ts';

/** What became of one path from one snapshot to another. */
export interface Difference {
  readonly path: PathKey;
  /** `content` also if the type is another one; `metadata` if nothing but mode, owner, time, attributes
   * or link group is. */
  readonly kind: 'added' | 'removed' | 'content' | 'metadata';
  /** Null if added, or if only a later part of a file's content differs and its entry is in a page that both have. */
  readonly before: Entry | null;
  readonly after: Entry | null;
}

/**
 * All paths that differ, in tree order. Pages that both trees have are not read, so it costs what changed. Content is
 * compared by chunks: a file whose chunks were cut or keyed anew counts as changed.
 * @throws LowtideError as the loading of a page: nothing is said of a tree that cannot be read
 */
export async function* diffSnapshots(before: SnapshotTree, after: SnapshotTree): AsyncGenerator<Difference> {
  let open: Pair | null = null as Pair | null;
  for await (const pair of differingRecords(cursorOf(before), cursorOf(after))) {
    if (open?.path === pair.path) open.content = true;
    else {
      if (open !== null) yield differenceOf(open);
      open = pair;
    }
  }
  if (open !== null) yield differenceOf(open);
}

interface Pair {
  readonly path: PathKey;
  readonly before: Entry | null;
  readonly after: Entry | null;
  content: boolean;
}

const cursorOf = ({ signed, loader }: SnapshotTree): TreeCursor =>
  new TreeCursor(signed.manifest.tree.id, (id) => loader.load(id));

async function* differingRecords(a: TreeCursor, b: TreeCursor): AsyncGenerator<Pair> {
  for (
    let [left, right] = [a.next, b.next];
    left !== null || right !== null;
    [left, right] = [a.next, b.next]
  ) {
    if (left?.kind === 'page' || right?.kind === 'page') {
      await approach(a, b, left, right);
      continue;
    }
    const order = orderOf(left, right);
    if (order <= 0) a.skip();
    if (order >= 0) b.skip();
    const pair = compare(order <= 0 ? left!.record : null, order >= 0 ? right!.record : null);
    if (pair !== null) yield pair;
  }
}

/** Skips a page that both have, or opens the one that stands higher. */
async function approach(
  a: TreeCursor,
  b: TreeCursor,
  left: TreeStep | null,
  right: TreeStep | null,
): Promise<void> {
  if (left?.kind === 'page' && right?.kind === 'page') {
    if (left.id === right.id) {
      a.skip();
      b.skip();
      return;
    }
    if (left.level >= right.level) await a.open();
    if (right.level >= left.level) await b.open();
    return;
  }
  if (left?.kind === 'page') await a.open();
  else await b.open();
}

function orderOf(left: TreeStep | null, right: TreeStep | null): number {
  if (left === null || right === null) return left === null ? 1 : -1;
  return compareKeys(left.last!, right.last!);
}

/** Null if both are the same. */
function compare(before: TreeRecord | null, after: TreeRecord | null): Pair | null {
  const { path } = keyOf((before ?? after)!);
  const [was, is] = [entryIn(before), entryIn(after)];
  const content = before === null || after === null || !sameContent(before, after);
  if (!content && (was === null || is === null || sameMetadata(was, is))) return null;
  return { path, before: was, after: is, content };
}

function differenceOf({ path, before, after, content }: Pair): Difference {
  if (before === null && after !== null) return { path, kind: 'added', before, after };
  if (before !== null && after === null) return { path, kind: 'removed', before, after };
  return { path, kind: content ? 'content' : 'metadata', before, after };
}

const entryIn = (record: TreeRecord | null): Entry | null => (record?.kind === 'entry' ? record.entry : null);

function sameContent(a: TreeRecord, b: TreeRecord): boolean {
  if (a.kind === 'continuation') return b.kind === 'continuation' && sameExtents(a.extents, b.extents);
  if (b.kind === 'continuation') return false;
  const [was, is] = [a.entry, b.entry];
  return (
    was.type === is.type &&
    was.size === is.size &&
    was.target === is.target &&
    was.rdev?.major === is.rdev?.major &&
    was.rdev?.minor === is.rdev?.minor &&
    sameExtents(was.extents, is.extents)
  );
}

/** Where a chunk is stored does not matter. */
function sameExtents(a: readonly Extent[], b: readonly Extent[]): boolean {
  return a.length === b.length && a.every((extent, at) => textOf(extent) === textOf(b[at]!));
}

function textOf(extent: Extent): string {
  if (extent.kind === 'inline') return `inline ${Buffer.from(extent.bytes).toString('hex')}`;
  return extent.kind === 'data' ? `data ${extent.length} ${extent.digest}` : `hole ${extent.length}`;
}

function sameMetadata(a: Entry, b: Entry): boolean {
  const same = (['mode', 'uid', 'gid', 'mtime'] as const).every((what) => a[what] === b[what]);
  return same && (a.link === undefined) === (b.link === undefined) && sameAttributes(a.extra, b.extra);
}

/** Names of owners may be given anew and births cannot: only what a restore gives counts. Unknown is equal to anything. */
function sameAttributes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined || equalBytes(a, b)) return true;
  const [was, is] = [restorable(a), restorable(b)];
  return was === null || is === null ? was === is : equalBytes(was, is);
}

/** Null if it cannot be read. */
function restorable(extra: Uint8Array): Uint8Array | null {
  try {
    const { xattrs, flags } = decodeAttributes(extra);
    return encodeAttributes({ xattrs, flags });
  } catch {
    return null;
  }
}
