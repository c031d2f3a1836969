import * as fs from 'node:fs';
import { freeAtOnce } from '../model/bytes.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { ByteName } from '../model/paths.ts';
import type { ExtendedAttribute } from '../model/entries.ts';
import { errnoName } from './errno.ts';
import { type Native, nativeLoader, nativeOrNull } from './native.ts';
import { inDirectory } from './paths-by-handle.ts';
import type { Kernels } from './ports.ts';
import { type Content, type Metadata, type MetadataRefusal, UNFINISHED_MODE } from './target-ports.ts';
import { renameToFree, writeWhole } from './target-file.ts';
import { applyToFile } from './target-metadata.ts';
import { removeQuietly } from './target-names.ts';

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

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;
const NEW = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY;
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
  const writer = new FileMaker(batch, contents, nativeOrNull(kernels.native ?? nativeLoader()));
  const files = writer.makeAll();
  const pieces: [number, Told][] = [];
  for (const [at, descriptor] of batch.descriptors.entries()) {
    try {
      writeWhole(descriptor, bytesOf(contents[writer.used + at]), batch.offsets[at]!);
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
  readonly #names: readonly string[];
  readonly #temporaries: readonly string[];
  /** Whether the file system of a directory keeps the mode that marks what is not whole; by directory. */
  readonly #keepsMark = new Map<number, boolean>();
  readonly #me = { uid: process.geteuid!(), gid: process.getegid!() };
  /** Pieces that the files so far have. */
  used = 0;

  constructor(batch: ThreadBatch, contents: readonly Content[], native: Native | null) {
    this.#batch = batch;
    this.#contents = contents;
    this.#native = native;
    this.#names = batch.names.split(BETWEEN_NAMES);
    this.#temporaries = batch.temporaries.split(BETWEEN_NAMES);
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
    // All of it, before a name is made for it.
    for (let piece = first; piece < this.used; piece++) bytesOf(this.#contents[piece]);
    const final = inDirectory(directory, this.#names[at] as ByteName);
    if ((how & DIRECT) !== 0) {
      const refused = this.#makeDirectly(directory, final, at, first);
      if (refused !== null) return refused;
    }
    const temporary = inDirectory(directory, this.#temporaries[at] as ByteName);
    const descriptor = fs.openSync(temporary, NEW, TEMPORARY_MODE);
    return this.#fill(descriptor, temporary, at, first, () => {
      if ((how & REPLACE) !== 0) fs.renameSync(temporary, final);
      else renameToFree(temporary, final, this.#native);
    });
  }

  /** Null where the mark is not kept: then nothing was made. */
  #makeDirectly(
    directory: number,
    path: Buffer,
    at: number,
    first: number,
  ): readonly MetadataRefusal[] | null {
    const known = this.#keepsMark.get(directory);
    if (known === false) return null;
    const descriptor = fs.openSync(path, NEW, UNFINISHED_MODE);
    if (known === undefined) {
      const keeps = (fs.fstatSync(descriptor).mode & 0o7777) === UNFINISHED_MODE;
      this.#keepsMark.set(directory, keeps);
      if (!keeps) {
        fs.closeSync(descriptor);
        fs.unlinkSync(path);
        return null;
      }
    }
    return this.#fill(descriptor, path, at, first, () => {});
  }

  /** @param name gives it its name, once it is closed and all errors are known */
  #fill(
    descriptor: number,
    path: Buffer,
    at: number,
    first: number,
    name: () => void,
  ): readonly MetadataRefusal[] {
    let open = true;
    try {
      this.#write(descriptor, at, first);
      const refused = this.#describe(descriptor, at);
      open = false;
      fs.closeSync(descriptor);
      name();
      return refused;
    } catch (error) {
      if (open) fs.closeSync(descriptor);
      removeQuietly(path);
      throw error;
    }
  }

  #write(descriptor: number, at: number, first: number): void {
    const { positions, numbers } = this.#batch;
    let end = 0;
    for (let piece = first; piece < this.used; piece++) {
      const bytes = bytesOf(this.#contents[piece]);
      writeWhole(descriptor, bytes, positions[piece]!);
      end = Math.max(end, positions[piece]! + bytes.length);
    }
    const size = numbers[at * NUMBERS + 2]!;
    if (end !== size) fs.ftruncateSync(descriptor, size);
  }

  /** The mode last: it says that the file is whole. */
  #describe(descriptor: number, at: number): readonly MetadataRefusal[] {
    const { times, numbers } = this.#batch;
    const [mode, uid, gid] = [3, 4, 5].map((field) => numbers[at * NUMBERS + field]!) as [
      number,
      number,
      number,
    ];
    const mtime = times[at * TIMES + 2]! * NANOS + times[at * TIMES + 3]!;
    if ((numbers[at * NUMBERS + 6]! & PLAIN) !== 0 && this.#native !== null) {
      const mine = (uid === -1 || uid === this.#me.uid) && (gid === -1 || gid === this.#me.gid);
      if (mine || given(descriptor, uid, gid)) {
        this.#native.setTimesOf(descriptor, new Uint8Array(times.buffer, at * TIMES * 8, TIMES * 8));
        fs.fchmodSync(descriptor, mode);
        const stats = fs.fstatSync(descriptor, { bigint: true });
        const isOwner =
          (uid === -1 || Number(stats.uid) === uid) && (gid === -1 || Number(stats.gid) === gid);
        if (isOwner && (Number(stats.mode) & 0o7777) === mode && stats.mtimeNs === mtime) return [];
      }
    }
    const xattrs = this.#batch.xattrs.get(at) ?? null;
    const metadata: Metadata = {
      type: 'file',
      mode,
      uid: uid === -1 ? null : uid,
      gid: gid === -1 ? null : gid,
      mtime,
      ...(xattrs === null ? {} : { xattrs }),
    };
    return applyToFile(descriptor, this.#native, SHOWN_LATER, metadata);
  }
}

/** @param uid -1, like `gid`: it stays. False if it is not allowed: then it is told by who sets all of it, one after another. */
function given(descriptor: number, uid: number, gid: number): boolean {
  try {
    fs.fchownSync(descriptor, uid >>> 0, gid >>> 0);
    return true;
  } catch {
    return false;
  }
}
