import { decodeAttributes } from '../format/attributes.ts';
import type { Entry } from '../model/entries.ts';
import { displayBytes, displayPath, type PathKey } from '../model/paths.ts';
import { modeText, secondText } from './text.ts';

const SIZE_COLUMNS = 12;
const OWNER_COLUMNS = 11;

/** As `ls -l` writes it, with the size in bytes and the time of change to the second in `zone`. */
export function entryLine(path: PathKey, entry: Entry | null, zone: string): string {
  if (entry === null)
    return `${''.padEnd(10)} ${''.padEnd(OWNER_COLUMNS + SIZE_COLUMNS + 22)}${displayPath(path)}`;
  const owner = `${entry.uid}:${entry.gid}`.padEnd(OWNER_COLUMNS);
  const size = sizeText(entry).padStart(SIZE_COLUMNS);
  const time = secondText(Number(entry.mtime / 1_000_000n), zone);
  const target = entry.target === undefined ? '' : ` -> ${displayBytes(entry.target)}`;
  return `${modeText(entry)} ${owner} ${size} ${time} ${displayPath(path)}${target}`;
}

function sizeText({ type, size, rdev }: Entry): string {
  if (rdev !== undefined) return `${rdev.major}, ${rdev.minor}`;
  return type === 'file' ? String(size) : '';
}

/** `path` for reading, `path_hex` its exact bytes; times in nanoseconds since 1970, as text because of their size. */
export function entryJson(path: PathKey, entry: Entry | null): Record<string, unknown> {
  const bytes = Buffer.from('/' + path.replaceAll('\0', '/'), 'latin1');
  const named = { path: displayPath(path), path_hex: bytes.toString('hex') };
  if (entry === null) return { ...named, type: 'directory' };
  const { type, mode, uid, gid, size, mtime, target, rdev, unsettled, partial } = entry;
  return {
    ...named,
    type,
    mode: mode.toString(8).padStart(4, '0'),
    uid,
    gid,
    size,
    mtime_ns: mtime.toString(),
    ...(target !== undefined && { target: displayBytes(target) }),
    ...(rdev !== undefined && { rdev }),
    ...(entry.extra !== undefined && attributesJson(entry.extra)),
    ...(entry.link !== undefined && { link: `${entry.link.fileSystem}/${entry.link.inode}` }),
    ...(unsettled && { unsettled }),
    ...(partial && { partial }),
  };
}

/** Values of extended attributes in base 64; nothing of what cannot be read. */
function attributesJson(extra: Uint8Array): Record<string, unknown> {
  try {
    const { xattrs, flags, birth, owner, group } = decodeAttributes(extra);
    const values = xattrs.map(({ name, value }) => [
      displayBytes(name),
      Buffer.from(value).toString('base64'),
    ]);
    return {
      ...(owner !== undefined && { owner }),
      ...(group !== undefined && { group }),
      ...(birth !== undefined && { birth_ns: birth.toString() }),
      ...(flags !== 0 && { flags }),
      ...(xattrs.length > 0 && { xattrs: Object.fromEntries(values) as Record<string, string> }),
    };
  } catch {
    return {};
  }
}
