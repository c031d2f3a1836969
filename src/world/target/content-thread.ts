import * as fs from 'node:fs';
import { freeAtOnce } from '../../model/bytes.ts';
import { type ErrorCode, isLowtideError } from '../../model/errors.ts';
import type { ByteName } from '../../model/paths.ts';
import type { ExtendedAttribute } from '../../model/entries.ts';
import { errnoName } from '../system/errno.ts';
import { callsOfNode, callsOfSystem, type FileCalls } from '../system/file-calls.ts';
import { type Native, nativeLoader, nativeOrNull } from '../system/native.ts';
import { inDirectory } from '../system/paths-by-handle.ts';
import type { Kernels } from '../ports.ts';
import { type Content, type Metadata, type MetadataRefusal, UNFINISHED_MODE } from './ports.ts';
import { renameToFree } from './file.ts';
import { applyToFile } from './metadata.ts';
import { removeQuietly } from './names.ts';

/** No name has it, and a string passes between threads faster than a list of them. */
export const BETWEEN_NAMES = '/';
/** What of `ThreadBatch.numbers` belongs to a file: directory, number of pieces, size, mode, uid, gid, how. */
export const NUMBERS = 7;
/** What of `ThreadBatch.times` belongs to a file: two struct timespec, the access time left as it is. */
export const TIMES = 4;
/** How a file is made. */
export const REPLACE = 1;
/** Under its own name, with UNFINISHED_MODE until it is whole. */
export const DIRECT = 2;
/** Nothing but owner, mode and time is to be set. */
export const PLAIN = 4;

/** Stands in messages for a path, which this thread does not know. */
export const SHOWN_LATER = '\0';

const TEMPORARY_MODE = 0o600;
const NANOS = 1_000_000_000n;

/** A ContentBatch, packed: descriptors are good in every thread of the process. */
export interface ThreadBatch {
  readonly module: string;
  readonly name: string;
  readonly input: unknown;
  readonly directories: readonly number[];
  readonly names: string;
  readonly temporaries: string;
  readonly numbers: Float64Array;
  readonly times: BigInt64Array<ArrayBuffer>;
  readonly positions: Float64Array;
  /** Of files that are not PLAIN, by number; null: unknown. */
  readonly xattrs: ReadonlyMap<number, readonly ExtendedAttribute[] | null>;
  /** Files that are open already, and where in each its piece goes. */
  readonly descriptors: readonly number[];
  readonly offsets: readonly number[];
}

/** What went wrong, as it passes between threads. */
export type Told =
  | { readonly code: ErrorCode; readonly message: string }
  | { readonly system: string; readonly errno: number; readonly call: string }
  | readonly MetadataRefusal[];

export interface ThreadAnswer {
  readonly files: readonly (readonly [number, Told])[];
  readonly pieces: readonly (readonly [number, Told])[];
}

/** Runs in a thread of the Work port. */
export async function writeContentHere(batch: ThreadBatch, kernels: Kernels): Promise<ThreadAnswer> {
  const exports = (await import(batch.module)) as Record<
    string,
    (input: unknown, kernels: Kernels) => readonly Content[]
  >;
  const contents = exports[batch.name]!(batch.input, kernels);
  const native = nativeOrNull(kernels.native ?? nativeLoader());
  const system = kernels.system?.() ?? null;
  const calls = system === null ? callsOfNode(native) : callsOfSystem(system);
  const writer = new FileMaker(batch, contents, native, calls);
  const files = writer.makeAll();
  const pieces: [number, Told][] = [];
  for (const [at, descriptor] of batch.descriptors.entries()) {
    try {
      calls.write(descriptor, bytesOf(contents[writer.used + at]), batch.offsets[at]!);
    } catch (error) {
      pieces.push([at, toldOf(error)]);
    }
  }
  for (const content of contents) if (content instanceof Uint8Array) freeAtOnce(content);
  return { files, pieces };
}

function bytesOf(content: Content | undefined): Uint8Array {
  if (content instanceof Uint8Array) return content;
  throw content ?? new TypeError('there is less content than was asked for');
}

function toldOf(error: unknown): Told {
  if (isLowtideError(error)) return { code: error.code, message: error.message };
  const system = errnoName(error);
  if (system === '') throw error;
  const { errno = 0, syscall = '' } = error as NodeJS.ErrnoException;
  return { system, errno: Math.abs(errno), call: syscall };
}

/** Makes whole files: some six calls of the kernel for each. */
class FileMaker {
  readonly #batch: ThreadBatch;
  readonly #contents: readonly Content[];
  readonly #native: Native | null;
  readonly #calls: FileCalls;
  readonly #names: readonly string[];
  readonly #temporaries: readonly string[];
  /** The bytes of `ThreadBatch.times`. */
  readonly #times: Buffer;
  /** Whether the file system of a directory keeps the mode that marks what is not whole; by directory. */
  readonly #keepsMark = new Map<number, boolean>();
  readonly #me = { uid: process.geteuid!(), gid: process.getegid!() };
  /** Pieces that the files so far have. */
  used = 0;

  constructor(batch: ThreadBatch, contents: readonly Content[], native: Native | null, calls: FileCalls) {
    this.#batch = batch;
    this.#contents = contents;
    this.#native = native;
    this.#calls = calls;
    this.#names = batch.names.split(BETWEEN_NAMES);
    this.#temporaries = batch.temporaries.split(BETWEEN_NAMES);
    this.#times = Buffer.from(batch.times.buffer);
  }

  makeAll(): [number, Told][] {
    const { numbers } = this.#batch;
    const told: [number, Told][] = [];
    for (let at = 0; at * NUMBERS < numbers.length; at++) {
      const first = this.used;
      this.used += numbers[at * NUMBERS + 1]!;
      try {
        const refused = this.#make(at, first);
        if (refused.length > 0) told.push([at, refused]);
      } catch (error) {
        told.push([at, toldOf(error)]);
      }
    }
    return told;
  }

  #make(at: number, first: number): readonly MetadataRefusal[] {
    const { numbers, directories } = this.#batch;
    const directory = directories[numbers[at * NUMBERS]!]!;
    const how = numbers[at * NUMBERS + 6]!;
    const name = this.#names[at] as ByteName;
    // All of it, before a name is made for it.
    for (let piece = first; piece < this.used; piece++) bytesOf(this.#contents[piece]);
    if ((how & DIRECT) !== 0) {
      const refused = this.#makeDirectly(directory, name, at, first);
      if (refused !== null) return refused;
    }
    const temporary = this.#temporaries[at] as ByteName;
    const descriptor = this.#calls.create(directory, temporary, TEMPORARY_MODE);
    return this.#fill(descriptor, { directory, name: temporary, at, first }, () => {
      const [from, to] = [inDirectory(directory, temporary), inDirectory(directory, name)];
      if ((how & REPLACE) !== 0) fs.renameSync(from, to);
      else renameToFree(from, to, this.#native);
    });
  }

  /** Null where the mark is not kept: then nothing was made. */
  #makeDirectly(
    directory: number,
    name: ByteName,
    at: number,
    first: number,
  ): readonly MetadataRefusal[] | null {
    const known = this.#keepsMark.get(directory);
    if (known === false) return null;
    const descriptor = this.#calls.create(directory, name, UNFINISHED_MODE);
    if (known === undefined) {
      const keeps = (fs.fstatSync(descriptor).mode & 0o7777) === UNFINISHED_MODE;
      this.#keepsMark.set(directory, keeps);
      if (!keeps) {
        this.#calls.close(descriptor);
        fs.unlinkSync(inDirectory(directory, name));
        return null;
      }
    }
    return this.#fill(descriptor, { directory, name, at, first }, null);
  }

  /** @param rename gives it its name, once it is closed and all errors are known */
  #fill(
    descriptor: number,
    { directory, name, at, first }: MadeFile,
    rename: (() => void) | null,
  ): readonly MetadataRefusal[] {
    let open = true;
    try {
      this.#write(descriptor, at, first);
      const refused = this.#describe(descriptor, at);
      open = false;
      this.#calls.close(descriptor);
      rename?.();
      return refused;
    } catch (error) {
      if (open) fs.closeSync(descriptor);
      removeQuietly(inDirectory(directory, name));
      throw error;
    }
  }

  #write(descriptor: number, at: number, first: number): void {
    const { positions, numbers } = this.#batch;
    let end = 0;
    for (let piece = first; piece < this.used; piece++) {
      const bytes = bytesOf(this.#contents[piece]);
      this.#calls.write(descriptor, bytes, positions[piece]!);
      end = Math.max(end, positions[piece]! + bytes.length);
    }
    const size = numbers[at * NUMBERS + 2]!;
    if (end !== size) fs.ftruncateSync(descriptor, size);
  }

  /** The mode last: it says that the file is whole. */
  #describe(descriptor: number, at: number): readonly MetadataRefusal[] {
    const { numbers, times } = this.#batch;
    const mode = numbers[at * NUMBERS + 3]!;
    const uid = numbers[at * NUMBERS + 4]!;
    const gid = numbers[at * NUMBERS + 5]!;
    if ((numbers[at * NUMBERS + 6]! & PLAIN) !== 0) {
      const mine = (uid === -1 || uid === this.#me.uid) && (gid === -1 || gid === this.#me.gid);
      const own = this.#times.subarray(at * TIMES * 8, (at + 1) * TIMES * 8);
      if (
        (mine || given(descriptor, uid, gid)) &&
        this.#calls.describe(descriptor, { uid, gid, mode, times: own })
      )
        return NOTHING;
    }
    const xattrs = this.#batch.xattrs.get(at) ?? null;
    const metadata: Metadata = {
      type: 'file',
      mode,
      uid: uid === -1 ? null : uid,
      gid: gid === -1 ? null : gid,
      mtime: times[at * TIMES + 2]! * NANOS + times[at * TIMES + 3]!,
      ...(xattrs === null ? {} : { xattrs }),
    };
    return applyToFile(descriptor, this.#native, SHOWN_LATER, metadata);
  }
}

/** Where a file is while it is made, its number in the batch and that of its first piece. */
interface MadeFile {
  readonly directory: number;
  readonly name: ByteName;
  readonly at: number;
  readonly first: number;
}

const NOTHING: readonly MetadataRefusal[] = [];

/** @param uid -1, like `gid`: it stays. False if it is not allowed: then it is told by who sets all of it, one after another. */
function given(descriptor: number, uid: number, gid: number): boolean {
  try {
    fs.fchownSync(descriptor, uid >>> 0, gid >>> 0);
    return true;
  } catch {
    return false;
  }
}
