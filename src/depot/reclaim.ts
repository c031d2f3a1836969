import type { BlockId } from '../model/ids.ts';
import type { Monitor } from '../world/ports.ts';
import type { BlockLocation, PackRow } from './index-rows.ts';
import type { BlockReader } from './block-reader.ts';
import type { BlockWriter } from './block-writer.ts';
import type { PackRoom } from './pack-file.ts';
import { finishDrops } from './recovery.ts';
import { walkPages } from './refs-walk.ts';

/** The group of tree and refs pages that are kept as a base after their snapshot was drained. */
export const META_GROUP = 'meta';

export interface ReclaimParts {
  readonly room: PackRoom;
  readonly reader: BlockReader;
  readonly monitor: Monitor;
  readonly writer: (group: string) => BlockWriter;
}

/** See `Depot.dropGroup`. */
export async function dropGroup(
  parts: ReclaimParts,
  group: string,
  keep: ReadonlySet<BlockId>,
): Promise<number> {
  const { index } = parts.room;
  const packs = await index.packs(group);
  if (keep.size > 0) await keepBlocks(parts, packs, keep);
  await index.dropPacks(packs.map((pack) => pack.key));
  await finishDrops(parts.room, packs);
  return bytesOf(packs.filter((pack) => pack.state !== 'dropped'));
}

/** Durable in the group `meta` before what they came from goes. */
async function keepBlocks(
  parts: ReclaimParts,
  packs: readonly PackRow[],
  keep: ReadonlySet<BlockId>,
): Promise<void> {
  const { index } = parts.room;
  const wanted = new Set<BlockId>();
  for (const pack of packs) {
    for (const { id } of await index.blocksOf(pack)) if (keep.has(id)) wanted.add(id);
  }
  const kept = new Set((await index.packs(META_GROUP)).map((pack) => pack.key));
  for (const place of await index.locations([...wanted])) {
    if (place.state === 'present' && kept.has(place.pack)) wanted.delete(place.id);
  }
  const writer = parts.writer(META_GROUP);
  try {
    for await (const read of parts.reader.read([...wanted])) {
      if ('bytes' in read) await writer.add(read);
      // Whoever drops a group has receipts for it: a page that is lost here can be fetched from there.
      else parts.monitor.problem({ path: read.id, severity: 'error', ...told(read.error) });
    }
    await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

const told = ({ code, message }: { code: string; message: string }) => ({ code, message });

export interface CompactOptions {
  /** Packs of which less than this share (by bytes) is alive are written anew. */
  readonly threshold: number;
  /** Bytes: once so many are free, the rest stays as it is. */
  readonly enough: number;
}

/** See `Depot.compactGroup`. */
export async function compactGroup(
  parts: ReclaimParts,
  group: string,
  live: (id: BlockId) => boolean,
  { threshold, enough }: CompactOptions,
): Promise<number> {
  const { index, active } = parts.room;
  const writer = parts.writer(group);
  let freed = 0;
  try {
    for (const pack of await index.packs(group)) {
      if (freed - writer.bytes >= enough) break;
      const complete = pack.state === 'sealed' || pack.state === 'cut';
      if (!complete || active.has(pack.key)) continue;
      freed += await compactPack(parts, pack, { live, threshold, writer });
    }
    await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  return freed - writer.bytes;
}

interface Compaction {
  readonly live: (id: BlockId) => boolean;
  readonly threshold: number;
  readonly writer: BlockWriter;
}

/**
 * Condemns what is dead, so that from then on `has` and `closure` name it as missing; then looks again at what is
 * pinned, because a closure may have counted on it before; then moves what lives, and drops the pack.
 * @returns bytes of the dropped pack
 */
async function compactPack(parts: ReclaimParts, pack: PackRow, compaction: Compaction): Promise<number> {
  const { index } = parts.room;
  const blocks = await index.blocksOf(pack);
  const isLive = (block: BlockLocation): boolean => compaction.live(block.id);
  if (!worthwhile(blocks, isLive, compaction.threshold)) return 0;
  const dead = blocks.filter((block) => !isLive(block));
  await index.condemn(pack.key, idsOf(dead));
  try {
    const pinned = await pinnedOf(parts, new Set(idsOf(dead)));
    const keep = blocks.filter((block) => pinned.has(block.id) || isLive(block));
    const moved =
      worthwhile(blocks, (block) => pinned.has(block.id) || isLive(block), compaction.threshold) &&
      (await moveAll(parts, keep, compaction.writer));
    if (!moved) {
      await index.restorePresent(pack.key, idsOf(dead.filter(wasPresent)));
      return 0;
    }
  } catch (error) {
    await index.restorePresent(pack.key, idsOf(dead.filter(wasPresent))).catch(() => {});
    throw error;
  }
  await index.dropPacks([pack.key]);
  await finishDrops(parts.room, [pack]);
  return pack.bytes;
}

function worthwhile(
  blocks: readonly BlockLocation[],
  isLive: (block: BlockLocation) => boolean,
  threshold: number,
): boolean {
  return bytesIn(blocks.filter(isLive)) < threshold * bytesIn(blocks) || blocks.length === 0;
}

const bytesIn = (blocks: readonly BlockLocation[]): number =>
  blocks.reduce((sum, block) => sum + block.length, 0);
const idsOf = (blocks: readonly BlockLocation[]): BlockId[] => blocks.map((block) => block.id);
const wasPresent = (block: BlockLocation): boolean => block.state === 'present';

/** False if one of them cannot be read: then its pack stays, because another try may read it. */
async function moveAll(
  parts: ReclaimParts,
  keep: readonly BlockLocation[],
  writer: BlockWriter,
): Promise<boolean> {
  for await (const read of parts.reader.read(idsOf(keep))) {
    if ('error' in read) return false;
    await writer.add(read);
  }
  await writer.flush();
  return true;
}

/** Those of `ids` that a snapshot whose commit is being checked may count on. */
async function pinnedOf(parts: ReclaimParts, ids: ReadonlySet<BlockId>): Promise<Set<BlockId>> {
  const pinned = new Set<BlockId>();
  const mark = (id: BlockId): void => void (ids.has(id) && pinned.add(id));
  for (const pin of await parts.room.index.pins()) {
    for await (const step of walkPages(parts.reader, pin, {})) {
      mark(step.ref.id);
      if ('page' in step && step.page.kind === 'leaf') for (const ref of step.page.refs) mark(ref.id);
    }
  }
  return pinned;
}

function bytesOf(packs: readonly PackRow[]): number {
  return packs.reduce((sum, pack) => sum + pack.bytes, 0);
}
