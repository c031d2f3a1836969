import { encodeAttributes } from '../format/attributes.ts';
import type { Entry, EntryType, ExtendedAttribute } from '../model/entries.ts';
import { isLowtideError } from '../model/errors.ts';
import { baseName, displayPath, parentPath, type PathKey, ROOT_PATH } from '../model/paths.ts';
import type { UnixNanos } from '../model/time.ts';
import type { FoundAttributes, World } from '../world/ports.ts';
import type { Problems } from './problems.ts';
import type { Step } from './steps.ts';

/** Names asked for at once: what they answer is in memory together. */
const ASKED_MAX = 64;
const NOTHING: FoundAttributes = { xattrs: [], flags: 0, refused: [] };

/** One step whose attributes nobody knows: it is new, or has changed, or the base is older than they are. */
interface Unknown {
  readonly at: number;
  readonly path: PathKey;
  readonly type: EntryType;
  readonly uid: number;
  readonly gid: number;
  readonly birth: UnixNanos | undefined;
}

/**
 * Adds to the steps of a walk what lstat does not tell: extended attributes, inode flags, time of birth, names of owner
 * and group (format F27). Only what is new or has changed is asked; what it does not give is counted.
 */
export async function* withAttributes(
  world: World,
  steps: AsyncIterable<Step[]>,
  problems: Problems,
): AsyncGenerator<Step[]> {
  const reader = new AttributeReader(world, problems);
  for await (const batch of steps) {
    const unknown = batch.flatMap(unknownIn);
    for (const group of inDirectories(unknown)) {
      const found = await reader.read(group);
      for (const [i, { at }] of group.entries()) batch[at] = withExtra(batch[at]!, found[i]!);
    }
    yield batch;
  }
}

function unknownIn(step: Step, at: number): Unknown[] {
  if (step.kind === 'read') {
    const { path, stat } = step;
    if (step.extra !== undefined) return [];
    return [{ at, path, type: 'file', uid: stat.uid, gid: stat.gid, birth: stat.birth }];
  }
  if (step.kind !== 'entry' && step.kind !== 'carry') return [];
  const { path, type, uid, gid, extra } = step.entry;
  return extra === undefined ? [{ at, path, type, uid, gid, birth: step.birth }] : [];
}

function withExtra(step: Step, extra: Uint8Array): Step {
  if (step.kind === 'read') {
    const fallback: Entry | null = step.fallback === null ? null : { ...step.fallback, extra };
    return { ...step, extra, fallback };
  }
  if (step.kind === 'entry' || step.kind === 'carry') return { ...step, entry: { ...step.entry, extra } };
  return step;
}

/** Those that follow each other and are in one directory, together. */
function* inDirectories(unknown: readonly Unknown[]): Generator<readonly Unknown[]> {
  let group: Unknown[] = [];
  for (const next of unknown) {
    const first = group[0];
    if (first !== undefined && (group.length >= ASKED_MAX || !isBeside(first.path, next.path))) {
      yield group;
      group = [];
    }
    group.push(next);
  }
  if (group.length > 0) yield group;
}

const isBeside = (a: PathKey, b: PathKey): boolean =>
  a !== ROOT_PATH && b !== ROOT_PATH && parentPath(a) === parentPath(b);

class AttributeReader {
  readonly #world: World;
  readonly #problems: Problems;
  readonly #users = new Map<number, string | null>();
  readonly #groups = new Map<number, string | null>();

  constructor(world: World, problems: Problems) {
    this.#world = world;
    this.#problems = problems;
  }

  /** @param group of one directory */
  async read(group: readonly Unknown[]): Promise<Uint8Array[]> {
    const found = await this.#find(group);
    const { accounts } = this.#world.files;
    const read: Uint8Array[] = [];
    for (const [i, { path, uid, gid, birth }] of group.entries()) {
      const { xattrs, flags, refused } = found[i]!;
      for (const { what, message } of refused) this.#problems.missing(what, path, message);
      const owner = await known(this.#users, uid, (id) => accounts.userName(id));
      const name = await known(this.#groups, gid, (id) => accounts.groupName(id));
      const kept = this.#fitting(path, xattrs);
      read.push(
        encodeAttributes({
          xattrs: kept,
          flags,
          ...(birth === undefined ? {} : { birth }),
          ...(owner === null ? {} : { owner }),
          ...(name === null ? {} : { group: name }),
        }),
      );
    }
    return read;
  }

  async #find(group: readonly Unknown[]): Promise<readonly FoundAttributes[]> {
    const directory = parentPath(group[0]!.path);
    try {
      const names = group.map(({ path, type }) => ({ name: baseName(path), type }));
      return await this.#world.files.attributes(directory, names);
    } catch (error) {
      if (!isLowtideError(error, 'not-found', 'source-unreadable')) throw error;
      // What is gone has no attributes to miss.
      if (error.code === 'source-unreadable') {
        for (const { path } of group) this.#problems.missing('extended attributes', path, error.message);
      }
      return group.map(() => NOTHING);
    }
  }

  #fitting(path: PathKey, xattrs: readonly ExtendedAttribute[]): readonly ExtendedAttribute[] {
    let left = this.#world.limits.xattr_bytes_max;
    const kept = xattrs.filter(({ name, value }) => {
      const bytes = name.length + value.length;
      if (bytes > left) return false;
      left -= bytes;
      return true;
    });
    if (kept.length < xattrs.length) {
      const message = `${displayPath(path)} has more of them than a snapshot can hold`;
      this.#problems.missing('extended attributes', path, message);
    }
    return kept;
  }
}

/** Root is root everywhere. */
async function known(
  names: Map<number, string | null>,
  id: number,
  ask: (id: number) => Promise<string | null>,
): Promise<string | null> {
  const name = names.get(id);
  if (name !== undefined) return name;
  const answer = id === 0 ? null : await ask(id);
  names.set(id, answer);
  return answer;
}
