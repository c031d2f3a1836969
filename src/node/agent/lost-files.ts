import { PackedKeys } from '../../backup/chunks/packed-keys.ts';
import { type Depot, depotSource } from '../../depot/depot.ts';
import { blocksNewIn, refsPageLoader } from '../../depot/refs-pages.ts';
import type { KeyStore } from '../../format/domain-keys.ts';
import type { SignedManifest } from '../../format/manifest.ts';
import { walkRefs } from '../../format/refs.ts';
import { copiesOf } from '../../ledger/copies.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { listLosses, type Loss } from '../../ledger/losses.ts';
import { findSnapshot } from '../../ledger/snapshots.ts';
import type { SnapshotRow } from '../../ledger/tables.ts';
import { type Entry, type Extent, extentLength } from '../../model/entries.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { displayPath, type PathKey, ROOT_PATH } from '../../model/paths.ts';
import { diffSnapshots } from '../../restore/snapshot-diff.ts';
import { SnapshotTree } from '../../restore/snapshot-tree.ts';
import type { LostFiles } from '../../uplink/own-snapshots.ts';
import type { World } from '../../world/ports.ts';
import type { LossStatus } from './view.ts';

/** All of it is on the machine itself: trees and refs stay in the spool as bases. */
export interface LossParts {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly keys: KeyStore;
}

/** A version of a file that is nowhere any more. */
export interface LostFile {
  readonly path: PathKey;
  /** As it was in the snapshot that is lost. */
  readonly entry: Entry;
}

/** What a relay took with it of one snapshot. */
export interface LostSnapshot extends Loss {
  readonly row: SnapshotRow;
  /** In tree order. @throws LowtideError of a page that cannot be read */
  readonly files: (stop: AbortSignal) => AsyncGenerator<LostFile>;
}

/** Snapshots that were lost with relays: the oldest loss first, then in the order of their job. */
export async function lostSnapshots(parts: LossParts): Promise<readonly LostSnapshot[]> {
  const lost: LostSnapshot[] = [];
  for (const loss of await listLosses(parts.ledger.db)) {
    const row = await findSnapshot(parts.ledger.db, loss.snapshot);
    if (row === null || !(await parts.depot.hasManifest(row.id))) continue;
    lost.push({ ...loss, row, files: (stop) => filesLostWith(parts, row, stop) });
  }
  return lost.toSorted((a, b) => a.at - b.at || a.row.sequence - b.row.sequence);
}

/** A status that is asked for often counts no further. */
export const LOST_COUNTED = 1000;

/** Those of which something is lost still, as a status shows them. */
export async function lossesForStatus(parts: LossParts): Promise<readonly LossStatus[]> {
  const found: LossStatus[] = [];
  for (const { row, at, holder } of await lostSnapshots(parts)) {
    const lost = await countLost(parts, row.id, 0, LOST_COUNTED);
    if (lost?.count === 0) continue;
    const { id: snapshot, job, taken_at: takenAt } = row;
    found.push({ snapshot, job, takenAt, lostAt: at, holder, files: lost?.count ?? null });
  }
  return found;
}

/** How many files, and the first few of them. Null if that cannot be found out. @param enough counts no further than one more */
export async function countLost(
  parts: LossParts,
  snapshot: SnapshotId,
  most: number,
  enough = Infinity,
): Promise<LostFiles | null> {
  const row = await findSnapshot(parts.ledger.db, snapshot);
  if (row === null) return null;
  const first: string[] = [];
  let count = 0;
  try {
    for await (const { path } of filesLostWith(parts, row, new AbortController().signal)) {
      if (count++ < most) first.push(displayPath(path));
      if (count > enough) break;
    }
  } catch (error) {
    if (isLowtideError(error)) return null;
    throw error;
  }
  return { count, first };
}

/**
 * Files of a snapshot with content in blocks that are not here any more, and in no snapshot that a center has. What the newest
 * snapshot at a center has under the same name with the same content is not lost, wherever its blocks are: so what was
 * unchanged when it was taken again drops out.
 */
async function* filesLostWith(
  parts: LossParts,
  row: SnapshotRow,
  stop: AbortSignal,
): AsyncGenerator<LostFile> {
  const signed = await parts.depot.manifest(row.id);
  const safe = await safeSnapshots(parts);
  const newest = safe
    .filter(({ manifest }) => manifest.instance === row.instance && manifest.job === row.chain)
    .toSorted((a, b) => b.manifest.sequence - a.manifest.sequence)[0];
  const gone = await blocksGone(parts, signed, newest ?? null, safe);
  if (gone.size === 0) return;
  const tree = treeOf(parts, signed, stop);
  for await (const { path, entry } of changedFiles(parts, tree, newest ?? null, stop)) {
    if (await leansOn(tree, path, entry, gone)) yield { path, entry };
  }
}

/** Snapshots that some center has, as far as their trees are here. */
async function safeSnapshots({ depot, ledger }: LossParts): Promise<SignedManifest[]> {
  const safe: SignedManifest[] = [];
  for await (const signed of depot.manifests()) {
    if ('error' in signed) continue;
    if ((await copiesOf(ledger.db, signed.id)).some(({ phase }) => phase === 'safe')) safe.push(signed);
  }
  return safe;
}

/** What the snapshot has beside `newest`, without what is here or in another snapshot at a center. */
async function blocksGone(
  { depot, world }: LossParts,
  signed: SignedManifest,
  newest: SignedManifest | null,
  safe: readonly SignedManifest[],
): Promise<PackedKeys> {
  const kept = new PackedKeys();
  for (const other of safe) {
    if (other === newest) continue;
    for await (const step of walkRefs(other.manifest.refs, refsPageLoader(depot, world.limits))) {
      if (step.kind === 'blocks') for (const { id } of step.refs) kept.add(id);
    }
  }
  const gone = new PackedKeys();
  for await (const refs of blocksNewIn(depot, world.limits, signed, newest)) {
    const ids = refs.map(({ id }) => id).filter((id) => !kept.has(id));
    const here = await depot.has(null, ids);
    for (const id of ids) if (!here.has(id)) gone.add(id);
  }
  return gone;
}

function treeOf({ world, depot, keys }: LossParts, signed: SignedManifest, stop: AbortSignal): SnapshotTree {
  const spool = { name: 'spool', source: depotSource(depot) };
  return new SnapshotTree(world, signed, keys, [spool], stop, (_path, error) => {
    throw error;
  });
}

/** Files that the newest snapshot at a center does not have, or has with other content; all of them without one. */
async function* changedFiles(
  parts: LossParts,
  tree: SnapshotTree,
  newest: SignedManifest | null,
  stop: AbortSignal,
): AsyncGenerator<LostFile> {
  if (newest === null) {
    for await (const records of tree.subtree(ROOT_PATH)) {
      for (const record of records) {
        if (record.kind === 'entry' && record.entry.type === 'file')
          yield { path: record.entry.path, entry: record.entry };
      }
    }
    return;
  }
  for await (const { path, kind, after } of diffSnapshots(treeOf(parts, newest, stop), tree)) {
    if (kind !== 'added' && kind !== 'content') continue;
    const entry = after ?? (await tree.find(path));
    if (entry?.type === 'file') yield { path, entry };
  }
}

/** Whether some content of a file is in these blocks. Only a large file's entry does not say it all. */
async function leansOn(
  tree: SnapshotTree,
  path: PathKey,
  entry: Entry,
  blocks: PackedKeys,
): Promise<boolean> {
  const isIn = (extents: readonly Extent[]): boolean =>
    extents.some((extent) => extent.kind === 'data' && blocks.has(extent.block));
  if (isIn(entry.extents)) return true;
  if (entry.extents.reduce((sum, extent) => sum + extentLength(extent), 0) >= entry.size) return false;
  for await (const records of tree.subtree(path)) {
    for (const record of records) if (record.kind === 'continuation' && isIn(record.extents)) return true;
  }
  return false;
}
