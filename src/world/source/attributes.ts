import { closeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { type EntryType, type ExtendedAttribute, KEPT_FLAGS } from '../../model/entries.ts';
import { type ErrorCode, LowtideError } from '../../model/errors.ts';
import { displayPath, joinPath, type ByteName, type PathKey } from '../../model/paths.ts';
import { errnoName, errnoWords } from '../system/errno.ts';
import { nativeOrNull, type Native } from '../system/native.ts';
import type { AttributeHolder, NativeAttributes } from '../system/native-attributes.ts';
import { inDirectory, openNamed } from '../system/paths-by-handle.ts';
import type { AttributeRefusal, FoundAttributes, Kernels, ScannedEntry, Task, Work } from '../ports.ts';
import { sourceError } from './error.ts';
import type { SystemCalls } from '../system/system-calls.ts';

/** The event loop runs again after about this long. */
const TURN_MS = 8;
const ENTRIES_PER_CLOCK = 32;
const NOTHING: FoundAttributes = { xattrs: [], flags: 0, refused: [] };
const SELF = '.' as ByteName;
/** No name has it, and a string passes between threads faster than a list of them. */
const BETWEEN_NAMES = '/';

interface LookFailure {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Files.attributes. Without libc nothing can be had, and each entry says so. */
export async function attributesOf(
  path: PathKey,
  entries: readonly Pick<ScannedEntry, 'name' | 'type'>[],
  native: Native | null,
): Promise<readonly FoundAttributes[]> {
  if (native === null) return entries.map(() => refusedBoth('the system library cannot be loaded'));
  const directory = openNamed(path, 'directory');
  try {
    const found: FoundAttributes[] = [];
    let turn = performance.now();
    for (const [at, entry] of entries.entries()) {
      if (at % ENTRIES_PER_CLOCK === 0 && performance.now() - turn > TURN_MS) {
        await setImmediate();
        turn = performance.now();
      }
      found.push(new Look(native.attributes, directory, entry, path).run());
    }
    return found;
  } finally {
    closeSync(directory);
  }
}

interface AttributesInput {
  readonly path: PathKey;
  readonly joinedNames: string;
  /** Of each, in turn. */
  readonly types: readonly EntryType[];
}

/**
 * The same in one thread; what has none at all, and that is nearly everything, is null. Null altogether if this thread
 * has no calls of the system.
 */
export function attributesInThread(
  { path, joinedNames, types }: AttributesInput,
  { system, native }: Kernels,
): (FoundAttributes | null)[] | LookFailure | null {
  const calls = system?.() ?? null;
  const libc = native === undefined ? null : nativeOrNull(native);
  if (calls === null || libc === null) return null;
  try {
    const directory = openNamed(path, 'directory');
    try {
      return (joinedNames.split(BETWEEN_NAMES) as ByteName[]).map((name, at) => {
        const type = types[at]!;
        if (hasNone(calls, directory, name, type)) return null;
        return new Look(libc.attributes, directory, { name, type }, path).run();
      });
    } finally {
      closeSync(directory);
    }
  } catch (error) {
    const { code, message } = sourceError(error, path);
    return { code, message };
  }
}

/** Whether an open file has no extended attributes and no flags that are kept; true only if it is certain. */
export function isBare(system: SystemCalls, descriptor: number): boolean {
  const flags = system.flags(descriptor);
  return flags >= 0 && (flags & KEPT_FLAGS) === 0 && system.attributeBytes(descriptor) === 0;
}

/** True only if it is certain. */
function hasNone(system: SystemCalls, directory: number, name: ByteName, type: EntryType): boolean {
  if ((type !== 'file' && type !== 'directory') || name === '') return false;
  const descriptor = system.openIn(directory, name);
  if (descriptor < 0) return false;
  try {
    return isBare(system, descriptor);
  } finally {
    system.close(descriptor);
  }
}

/** Files.attributes, in a thread of `work` if that can. */
export async function attributesIn(
  work: Work,
  path: PathKey,
  entries: readonly Pick<ScannedEntry, 'name' | 'type'>[],
  native: Native | null,
  stop?: AbortSignal,
): Promise<readonly FoundAttributes[]> {
  const joinedNames = entries.map(({ name }) => name).join(BETWEEN_NAMES);
  const types = entries.map(({ type }) => type);
  const found = await work.run(attributesTask, { path, joinedNames, types }, [], stop);
  if (found === null) return await attributesOf(path, entries, native);
  if ('code' in found) throw new LowtideError(found.code, found.message);
  return found.map((one) => one ?? NOTHING);
}

function refusedBoth(why: string): FoundAttributes {
  const refused = (['extended attributes', 'flags'] as const).map((what) => ({ what, message: why }));
  return { ...NOTHING, refused };
}

/** One entry. */
class Look {
  readonly #native: NativeAttributes;
  readonly #directory: number;
  readonly #entry: Pick<ScannedEntry, 'name' | 'type'>;
  readonly #parent: PathKey;
  readonly #refused: AttributeRefusal[] = [];

  constructor(
    native: NativeAttributes,
    directory: number,
    entry: Pick<ScannedEntry, 'name' | 'type'>,
    parent: PathKey,
  ) {
    this.#native = native;
    this.#directory = directory;
    this.#entry = entry;
    this.#parent = parent;
  }

  run(): FoundAttributes {
    try {
      const { type } = this.#entry;
      return type === 'file' || type === 'directory' ? this.#opened() : this.#byName(0);
    } catch (error) {
      if (isGone(error)) return NOTHING;
      throw error;
    }
  }

  /** Flags can be had of an open file only, and attributes of an open one for less. */
  #opened(): FoundAttributes {
    let descriptor: number;
    try {
      descriptor = this.#native.openIn(this.#directory, this.#name);
    } catch (error) {
      if (!isGone(error)) this.#refuse('flags', error);
      return this.#byName(0);
    }
    try {
      let flags = 0;
      try {
        flags = (this.#native.flags(descriptor) ?? 0) & KEPT_FLAGS;
      } catch (error) {
        this.#refuse('flags', error);
      }
      return this.#answer(descriptor, flags);
    } finally {
      this.#native.close(descriptor);
    }
  }

  #byName(flags: number): FoundAttributes {
    const path = inDirectory(this.#directory, this.#name);
    return this.#answer({ path, lastLink: 'kept' }, flags);
  }

  #answer(holder: AttributeHolder, flags: number): FoundAttributes {
    const xattrs = this.#xattrs(holder);
    if (xattrs.length === 0 && flags === 0 && this.#refused.length === 0) return NOTHING;
    return { xattrs, flags, refused: this.#refused };
  }

  #xattrs(holder: AttributeHolder): ExtendedAttribute[] {
    const found: ExtendedAttribute[] = [];
    try {
      for (const name of this.#native.list(holder)) {
        const value = this.#value(holder, name);
        if (value !== null) found.push({ name, value });
      }
    } catch (error) {
      if (!isGone(error)) this.#refuse('extended attributes', error);
    }
    return found;
  }

  #value(holder: AttributeHolder, name: string): Uint8Array | null {
    try {
      return this.#native.get(holder, name);
    } catch (error) {
      // The system lists some that it cannot give for this kind of entry.
      if (!['EOPNOTSUPP', 'ENOTSUP'].includes(errnoName(error)))
        this.#refuse('extended attributes', error, ` ${name}`);
      return null;
    }
  }

  get #name(): ByteName {
    return this.#entry.name === ('' as ByteName) ? SELF : this.#entry.name;
  }

  #refuse(what: AttributeRefusal['what'], error: unknown, which = ''): void {
    const { name } = this.#entry;
    const shown = displayPath(name === '' ? this.#parent : joinPath(this.#parent, name));
    this.#refused.push({ what, message: `${shown}: ${what}${which} not read: ${errnoWords(error)}` });
  }
}

/** Or something else has its name now: reading its content will tell. */
function isGone(error: unknown): boolean {
  return ['ENOENT', 'ELOOP', 'ENXIO', 'ENODEV'].includes(errnoName(error));
}

const attributesTask: Task<AttributesInput, (FoundAttributes | null)[] | LookFailure | null> = {
  module: import.meta.url,
  name: 'attributesInThread',
  run: attributesInThread,
};
