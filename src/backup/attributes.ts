import { encodeAttributes } from '../format/attributes.ts';
import type { Entry, EntryType, ExtendedAttribute } from '../model/entries.ts';
import { isLowtideError, type LowtideError } from '../model/errors.ts';
import { baseName, displayPath, parentPath, type PathKey, ROOT_PATH } from '../model/paths.ts';
import type { UnixNanos } from '../model/time.ts';
import type { FoundAttributes, World } from '../world/ports.ts';
import { later } from './ahead.ts';
import type { Problems } from './problems.ts';
import type { Step } from './steps.ts';

/** Names asked for at once: what they answer is in memory together. */
const ASKED_MAX = 256;
/** Batches of which the attributes are being asked for. */
const BATCHES_AHEAD = 2;
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
  const coming: Asked[] = [];
  for await (const batch of steps) {
    const groups = [...inDirectories(batch.flatMap(unknownIn))];
    coming.push({ batch, groups: groups.map((group) => ({ group, found: later(reader.ask(group)) })) });
    if (coming.length > BATCHES_AHEAD) yield await finished(reader, coming.shift()!);
  }
  for (const asked of coming) yield await finished(reader, asked);
}

/** A batch, and what was asked about it. */
interface Asked {
  readonly batch: Step[];
  readonly groups: readonly {
    readonly group: readonly Unknown[];
    readonly found: Promise<readonly FoundAttributes[] | LowtideError>;
  }[];
}

async function finished(reader: AttributeReader, { batch, groups }: Asked): Promise<Step[]> {
  for (const { group, found } of groups) {
    const extras = await reader.read(group, await found);
    for (const [i, { at }] of group.entries()) batch[at] = withExtra(batch[at]!, extras[i]!);
  }
  return batch;
}

function unknownIn(step: Step, at: number): Unknown[] {
  if (step.kind === 'read') {
    const { path, stat } = step;
    if (step.extra !== undefined) return [];
    return [{ at, path, type: 'file', uid: stat.uid, gid: stat.gid, birth: stat.birth }];
  }
  if (step.kind === 'found') {
    const { path, extra, birth, entries, number } = step.file;
    return extra === undefined ? [{ at, path, type: 'file', ...entries.ownerAt(number), birth }] : [];
  }
  if (step.kind !== 'entry' && step.kind !== 'carry') return [];
  const { path, type, uid, gid, extra } = step.entry;
  return extra === undefined ? [{ at, path, type, uid, gid, birth: step.birth }] : [];
}

function withExtra(step: Step, extra: Uint8Array): Step {
  if (step.kind === 'found') step.file.extra = extra;
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
  async ask(group: readonly Unknown[]): Promise<readonly FoundAttributes[] | LowtideError> {
    const directory = parentPath(group[0]!.path);
    try {
      const names = group.map(({ path, type }) => ({ name: baseName(path), type }));
      return await this.#world.files.attributes(directory, names);
    } catch (error) {
      if (isLowtideError(error, 'not-found', 'source-unreadable')) return error;
      throw error;
    }
  }

  /** @param answer what `ask` gave for the group */
  async read(
    group: readonly Unknown[],
    answer: readonly FoundAttributes[] | LowtideError,
  ): Promise<Uint8Array[]> {
    const found = 'code' in answer ? this.#missing(group, answer) : answer;
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

  /** What is gone has no attributes to miss. */
  #missing(group: readonly Unknown[], { code, message }: LowtideError): readonly FoundAttributes[] {
    if (code === 'source-unreadable') {
      for (const { path } of group) this.#problems.missing('extended attributes', path, message);
    }
    return group.map(() => NOTHING);
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
