import type { TreeRecord } from '../format/tree-page.ts';
import { chunkDigest, type DomainKeys } from '../format/domain-keys.ts';
import { equalBytes } from '../model/bytes.ts';
import { type Entry, type Extent, extentLength } from '../model/entries.ts';
import type { PathKey } from '../model/paths.ts';
import type { Files, ScannedEntry, SourceFile } from '../world/ports.ts';

/**
 * Whether a file that was there before this restore is, byte for byte and in its metadata, the one that the snapshot
 * has under that name: then an earlier restore made it, and hard links may be made to it. Reads the whole file. A
 * file with holes, or sealed under an older key, is not compared: false.
 * @param records of exactly this file
 */
export async function isSameFile(
  files: Files,
  absolute: PathKey,
  there: ScannedEntry,
  entry: Entry,
  records: AsyncIterable<TreeRecord>,
  keys: DomainKeys,
  chunkBytesMax: number,
): Promise<boolean> {
  if (!sameStat(there, entry)) return false;
  const source = await files.openSource(absolute);
  try {
    let position = 0;
    for await (const record of records) {
      const extents = record.kind === 'entry' ? record.entry.extents : record.extents;
      for (const extent of extents) {
        if (extentLength(extent) > chunkBytesMax) return false;
        if (!(await hasExtent(source, position, extent, keys))) return false;
        position += extentLength(extent);
      }
    }
    return position === entry.size;
  } finally {
    await source.close();
  }
}

function sameStat(there: ScannedEntry, entry: Entry): boolean {
  return (['type', 'mode', 'uid', 'gid', 'size', 'mtime'] as const).every(
    (what) => there[what] === entry[what],
  );
}

async function hasExtent(
  source: SourceFile,
  position: number,
  extent: Extent,
  keys: DomainKeys,
): Promise<boolean> {
  if (extent.kind === 'hole') return false;
  const bytes = new Uint8Array(extentLength(extent));
  if ((await source.read(bytes, position)) !== bytes.length) return false;
  return extent.kind === 'inline'
    ? equalBytes(bytes, extent.bytes)
    : chunkDigest(keys, bytes) === extent.digest;
}
