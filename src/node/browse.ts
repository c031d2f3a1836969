import { keyOf } from '../format/tree-page.ts';
import type { Entry } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import {
  afterSubtree,
  baseName,
  byteNameToBytes,
  displayPath,
  isWithin,
  joinPath,
  pathComponents,
  type PathKey,
  ROOT_PATH,
} from '../model/paths.ts';
import { SnapshotTree } from '../restore/snapshot-tree.ts';
import type { Reading } from './reading.ts';
import type { SnapshotId } from '../model/ids.ts';

/** A name in a snapshot. Of a directory above the backup's paths only the name is known: `entry` is null. */
export interface Listed {
  readonly path: PathKey;
  readonly entry: Entry | null;
}

/**
 * The tree of a snapshot, to look around in. Lost pages are told to the monitor, and what is left is shown.
 * @throws LowtideError `no-such-snapshot`, `block-unavailable`, `damaged-page`
 */
export async function openTree(reading: Reading, id: SnapshotId, stop: AbortSignal): Promise<SnapshotTree> {
  const { world, keys, sources } = reading;
  const signed = await reading.manifest(id);
  const tell = (path: PathKey, { code, message }: LowtideError): void =>
    world.monitor.problem({ path: displayPath(path), code, message, severity: 'error' });
  const tree = new SnapshotTree(world, signed, keys, sources, stop, tell);
  await tree.open();
  return tree;
}

/** Everything at and within `path`. */
export async function* listAll(tree: SnapshotTree, path: PathKey, stop: AbortSignal): AsyncGenerator<Entry> {
  for await (const records of tree.subtree(path)) {
    stop.throwIfAborted();
    for (const record of records) if (record.kind === 'entry') yield record.entry;
  }
}

/**
 * What is directly within `path`, or the file that it names. Skips over the content of subdirectories, so that a
 * listing costs its own length.
 * @throws LowtideError `no-such-path`
 */
export async function* listDirectory(
  tree: SnapshotTree,
  path: PathKey,
  stop: AbortSignal,
): AsyncGenerator<Listed> {
  const itself = path === ROOT_PATH ? null : await tree.find(path);
  if (itself !== null && itself.type !== 'directory') {
    yield { path, entry: itself };
    return;
  }
  if (itself === null) await tree.check(path);
  let from: PathKey | null = path;
  while (from !== null) {
    let next: PathKey | null = null;
    let child: PathKey | null = null;
    for await (const records of tree.from(from)) {
      stop.throwIfAborted();
      for (const record of records) {
        const key = keyOf(record).path;
        if (!isWithin(key, path)) return;
        if (key === path || (child !== null && isWithin(key, child))) continue;
        child = childOf(path, key);
        yield { path: child, entry: record.kind === 'entry' && key === child ? record.entry : null };
      }
      const last = keyOf(records.at(-1)!).path;
      if (child === null || last === child || !isWithin(last, child)) continue;
      next = afterSubtree(child);
      break;
    }
    from = next;
  }
}

/** The name directly within `parent` on the way to `path`. */
function childOf(parent: PathKey, path: PathKey): PathKey {
  const depth = pathComponents(parent).length;
  return joinPath(parent, pathComponents(path)[depth]!);
}

/**
 * Whether a name, or with a slash in the pattern the whole path, fits a pattern of `*`, `?`, `[abc]` and `**`.
 * @throws LowtideError `bad-request`
 */
export function patternMatcher(pattern: string, ignoreCase: boolean): (path: PathKey) => boolean {
  if (pattern === '') throw new LowtideError('bad-request', 'an empty pattern finds nothing');
  const whole = pattern.includes('/');
  const regex = compiled(pattern, ignoreCase);
  return (path) => {
    const text = whole ? '/' + pathComponents(path).map(utf8Of).join('/') : utf8Of(baseName(path));
    return regex.test(text);
  };
}

function compiled(pattern: string, ignoreCase: boolean): RegExp {
  try {
    return new RegExp(`^${globRegex(pattern)}$`, ignoreCase ? 'isu' : 'su');
  } catch {
    throw new LowtideError('bad-request', `the pattern ${pattern} has a range that runs backwards`);
  }
}

const utf8Of = (name: string): string => byteNameToBytes(name as never).toString('utf8');

function globRegex(pattern: string): string {
  let regex = pattern.includes('/') && !pattern.startsWith('/') ? '(?:.*/)?' : '';
  for (let at = 0; at < pattern.length; at++) {
    const rest = pattern.slice(at);
    const set = /^\[(!?)([^\]/]+)\]/.exec(rest);
    if (rest.startsWith('**/')) {
      regex += '(?:.*/)?';
      at += 2;
    } else if (rest.startsWith('**')) {
      regex += '.*';
      at += 1;
    } else if (rest.startsWith('*')) regex += '[^/]*';
    else if (rest.startsWith('?')) regex += '[^/]';
    else if (set !== null) {
      regex += `[${set[1] === '' ? '' : '^'}${set[2]!.replaceAll(/[\\^[]/g, '\\$&')}]`;
      at += set[0].length - 1;
    } else regex += rest[0]!.replace(/[\\^$.|+()[\]{}/]/, '\\$&');
  }
  return regex;
}
