import { encodeAttributes } from '../../format/attributes.ts';
import type { Entry, EntryType, ExtendedAttribute } from '../../model/entries.ts';
import { isLowtideError, type LowtideError } from '../../model/errors.ts';
import { baseName, displayPath, parentPath, type PathKey, ROOT_PATH } from '../../model/paths.ts';
import type { UnixNanos } from '../../model/time.ts';
import type { FoundAttributes, World } from '../../world/ports.ts';
import { later } from '../ahead.ts';
import type { FoundFile } from './found-file.ts';
import type { Problems } from '../problems.ts';
import type { Step } from '../steps.ts';

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
 * and group (format F27). Only what is new or has changed is asked; what it does not give is counted. Small files that
 * are read by the batch are left out: what reads them looks for that, too (`AttributeReader.askOf`).
 */
export async function* withAttributes(
  reader: AttributeReader,
  steps: AsyncIterable<Step[]>,
): AsyncGenerator<Step[]> {
  const coming: Asked[] = [];
  for await (const batch of steps) {
    const unknown = batch.flatMap((step, at) => unknownIn(step, at, reader.comesWithContent));
    coming.push({ batch, groups: reader.askAll(unknown) });
    if (coming.length > BATCHES_AHEAD) yield await finished(reader, coming.shift()!);
  }
  for (const asked of coming) yield await finished(reader, asked);
}

type Answer = readonly FoundAttributes[] | LowtideError;

interface AskedGroup {
  /** Of one directory. */
  readonly group: readonly Unknown[];
  readonly found: Promise<Answer>;
}

/** A batch, and what was asked about it. */
interface Asked {
  readonly batch: Step[];
  readonly groups: readonly AskedGroup[];
}

/** Small files whose content has been read. */
export interface AskedFiles {
  readonly files: readonly FoundFile[];
  /** Those that have nothing to ask for. */
  readonly bare: readonly Unknown[];
  readonly groups: readonly AskedGroup[];
}

async function finished(reader: AttributeReader, { batch, groups }: Asked): Promise<Step[]> {
  for (const { group, found } of groups) {
    const extras = await reader.read(group, await found);
    for (const [i, { at }] of group.entries()) batch[at] = withExtra(batch[at]!, extras[i]!);
  }
  return batch;
}

function unknownIn(step: Step, at: number, comesWithContent: boolean): Unknown[] {
  if (step.kind === 'read') {
    const { path, stat } = step;
    if (step.extra !== undefined) return [];
    return [{ at, path, type: 'file', uid: stat.uid, gid: stat.gid, birth: stat.birth }];
  }
  if (step.kind === 'found') {
    const { file } = step;
    return file.extra !== undefined || (comesWithContent && file.size > 0) ? [] : [unknownFile(file, at)];
  }
  if (step.kind !== 'entry' && step.kind !== 'carry') return [];
  const { path, type, uid, gid, extra } = step.entry;
  return extra === undefined ? [{ at, path, type, uid, gid, birth: step.birth }] : [];
}

function unknownFile({ path, birth, entries, number }: FoundFile, at: number): Unknown {
  return { at, path, type: 'file', ...entries.ownerAt(number), birth };
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

export class AttributeReader {
  readonly #world: World;
  readonly #problems: Problems;
  readonly #users = new Map<number, string | null>();
  readonly #groups = new Map<number, string | null>();

  constructor(world: World, problems: Problems) {
    this.#world = world;
    this.#problems = problems;
  }

  /** Whether what reads small files says which of them have no attributes. */
  get comesWithContent(): boolean {
    return this.#world.files.readSmall !== undefined;
  }

  /** Those that follow each other and are in one directory are asked for together. */
  askAll(unknown: readonly Unknown[]): AskedGroup[] {
    return [...inDirectories(unknown)].map((group) => ({ group, found: later(this.#ask(group)) }));
  }

  /**
   * Begins to ask for what nobody knows yet of these files, which have been read. Give the answer to `describe`.
   * @param isBare by number: it has nothing to ask for
   */
  askOf(files: readonly FoundFile[], isBare: (at: number) => boolean): AskedFiles {
    const bare: Unknown[] = [];
    const others: Unknown[] = [];
    for (const [at, file] of files.entries()) {
      if (file.extra === undefined) (isBare(at) ? bare : others).push(unknownFile(file, at));
    }
    return { files, bare, groups: this.askAll(others) };
  }

  /** The files have their attributes when this resolves. */
  async describe({ files, bare, groups }: AskedFiles): Promise<void> {
    const nothing = bare.map(() => NOTHING);
    for (const { group, found } of [{ group: bare, found: nothing }, ...groups]) {
      const extras = await this.read(group, await found);
      for (const [i, { at }] of group.entries()) files[at]!.extra = extras[i];
    }
  }

  /** @param group of one directory */
  async #ask(group: readonly Unknown[]): Promise<Answer> {
    const directory = parentPath(group[0]!.path);
    try {
      const names = group.map(({ path, type }) => ({ name: baseName(path), type }));
      return await this.#world.files.attributes(directory, names);
    } catch (error) {
      if (isLowtideError(error, 'not-found', 'source-unreadable')) return error;
      throw error;
    }
  }

  /** @param answer what was found for the group */
  async read(group: readonly Unknown[], answer: Answer): Promise<Uint8Array[]> {
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
