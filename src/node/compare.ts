import { createHash } from 'node:crypto';
import { keyOf, type TreeRecord } from '../format/tree-page.ts';
import type { Entry, Extent } from '../model/entries.ts';
import type { PathKey } from '../model/paths.ts';
import type { SnapshotTree } from '../restore/snapshot-tree.ts';

/** `content` of a file or the target of a link; `metadata` is mode, owner or time of change only. */
export type ChangeKind = 'added' | 'removed' | 'type' | 'content' | 'metadata';

export interface Change {
  readonly path: PathKey;
  readonly kind: ChangeKind;
  readonly before: Entry | null;
  readonly after: Entry | null;
}

/** What differs between two snapshots, in tree order. Content is compared by digests: nothing is read but the trees. */
export async function* compareTrees(
  a: SnapshotTree,
  b: SnapshotTree,
  path: PathKey,
  stop: AbortSignal,
): AsyncGenerator<Change> {
  const left = items(a, path);
  const right = items(b, path);
  let before = await nextOf(left);
  let after = await nextOf(right);
  while (before !== null || after !== null) {
    stop.throwIfAborted();
    if (after === null || (before !== null && before.entry.path < after.entry.path)) {
      yield { path: before!.entry.path, kind: 'removed', before: before!.entry, after: null };
      before = await nextOf(left);
    } else if (before === null || after.entry.path < before.entry.path) {
      yield { path: after.entry.path, kind: 'added', before: null, after: after.entry };
      after = await nextOf(right);
    } else {
      const kind = difference(before, after);
      if (kind !== null) yield { path: after.entry.path, kind, before: before.entry, after: after.entry };
      before = await nextOf(left);
      after = await nextOf(right);
    }
  }
}

/** An entry with a hash over all its extents, those of its continuations too. */
interface Item {
  readonly entry: Entry;
  content: string;
}

async function nextOf(source: AsyncGenerator<Item>): Promise<Item | null> {
  const next = await source.next();
  return next.done === true ? null : next.value;
}

async function* items(tree: SnapshotTree, path: PathKey): AsyncGenerator<Item> {
  let open: Item | null = null;
  for await (const records of tree.subtree(path)) {
    for (const record of records) {
      if (record.kind === 'entry') {
        if (open !== null) yield open;
        open = { entry: record.entry, content: contentOf('', record) };
      } else if (open !== null && keyOf(record).path === open.entry.path) {
        open.content = contentOf(open.content, record);
      }
    }
  }
  if (open !== null) yield open;
}

function contentOf(before: string, record: TreeRecord): string {
  const extents = record.kind === 'entry' ? record.entry.extents : record.extents;
  if (extents.length === 0) return before;
  return createHash('sha256')
    .update([before, ...extents.map(extentText)].join(' '))
    .digest('base64');
}

function extentText(extent: Extent): string {
  if (extent.kind === 'data') return extent.digest;
  if (extent.kind === 'hole') return `hole ${extent.length}`;
  return Buffer.from(extent.bytes).toString('base64');
}

function difference(before: Item, after: Item): ChangeKind | null {
  const [a, b] = [before.entry, after.entry];
  if (a.type !== b.type) return 'type';
  if (a.size !== b.size || a.target !== b.target || before.content !== after.content) return 'content';
  if (a.rdev?.major !== b.rdev?.major || a.rdev?.minor !== b.rdev?.minor) return 'content';
  const same = a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.mtime === b.mtime;
  return same ? null : 'metadata';
}
