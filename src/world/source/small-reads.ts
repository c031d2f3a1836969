import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { bufferOf } from '../../model/bytes.ts';
import { baseName, type ByteName, parentPath, type PathKey, ROOT_PATH } from '../../model/paths.ts';
import { HEAD_BYTES, packHead } from './packed-entries.ts';
import { inDirectory, openNamed } from '../system/paths-by-handle.ts';
import type { Kernels, SmallReads, Task, Work } from '../ports.ts';
import { READ, READ_AND_BARE } from './read-answers.ts';
import { isBare } from './attributes.ts';
import { statOf } from '../system/stats.ts';
import { STATX, type SystemCalls } from '../system/system-calls.ts';

const SIZE_AT = 12;
const MTIME_AT = 20;
const CTIME_AT = 32;
const INODE_AT = 44;
const QUIETLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** No name has it, and a string passes between threads faster than a list of them. */
const BETWEEN_PATHS = '/';

/** A small file in the page cache takes a tenth of it. */
const SLOW_MS = 0.1;
/** Files that are open at once in one thread. */
const TOGETHER = 32;

interface JoinedReads extends Omit<SmallReads, 'paths'> {
  readonly joinedPaths: string;
}

/** As `Files.readSmall`, in a thread of `work`. */
export function readSmallIn(
  work: Work,
  { paths, heads, places, into }: SmallReads,
  stop?: AbortSignal,
): Promise<Uint8Array> {
  const input = { joinedPaths: paths.join(BETWEEN_PATHS), heads, places, into };
  return work.run(smallReadsTask, input, [], stop);
}

interface Directory {
  readonly path: PathKey;
  /** Null if it cannot be opened. */
  readonly descriptor: number | null;
}

/**
 * Reads many small files in one thread: six calls of the kernel a file, its attributes included, its directory opened
 * once for all that are in it. O_NONBLOCK, because something else may have taken the file's place since the walk.
 */
export function readSmallFiles(
  { joinedPaths, heads, places, into }: JoinedReads,
  kernels: Kernels,
): Uint8Array {
  const system = kernels.system?.() ?? null;
  const paths = joinedPaths.split(BETWEEN_PATHS) as PathKey[];
  const done = new Uint8Array(paths.length);
  const expected = (at: number): Expected => ({
    heads: bufferOf(heads),
    at: at * HEAD_BYTES,
    place: places[at]!,
  });
  const parents = new Parents();
  try {
    if (system !== null) readQuickly(system, paths, { parents, expected, into, done });
    else {
      for (const [at, path] of paths.entries()) {
        const parent = parents.of(path);
        if (parent !== null) done[at] = readOne(inDirectory(parent, baseName(path)), expected(at), into);
      }
    }
  } finally {
    parents.close();
  }
  return done;
}

/** The directory that was asked for last stays open. */
class Parents {
  #open: Directory = { path: ROOT_PATH, descriptor: null };
  #first = true;

  /** Descriptor of the directory that a path is in; null if it cannot be opened. */
  of(path: PathKey): number | null {
    const parent = parentPath(path);
    if (this.#first || this.#open.path !== parent) {
      this.close();
      this.#open = { path: parent, descriptor: directoryOf(parent) };
      this.#first = false;
    }
    return this.#open.descriptor;
  }

  close(): void {
    close(this.#open);
    this.#open = { path: ROOT_PATH, descriptor: null };
    this.#first = true;
  }
}

function close({ descriptor }: Directory): void {
  if (descriptor !== null) closeSync(descriptor);
}

function directoryOf(path: PathKey): number | null {
  try {
    return openNamed(path, 'directory');
  } catch {
    return null;
  }
}

/** What one file is expected to be, and where its bytes go. */
interface Expected {
  readonly heads: Buffer;
  /** Of its own head. */
  readonly at: number;
  readonly place: number;
}

const sizeOf = ({ heads, at }: Expected): number =>
  heads.readUInt32BE(at + SIZE_AT) * 0x1_0000_0000 + heads.readUInt32BE(at + SIZE_AT + 4);

/** Any failure is found again, and told, by whoever reads the file by itself. */
function readOne(path: Buffer, expected: Expected, into: Uint8Array): number {
  let descriptor: number;
  try {
    descriptor = openQuietly(path);
  } catch {
    return 0;
  }
  try {
    if (!isAsExpected(descriptor, expected)) return 0;
    const start = expected.place;
    const length = sizeOf(expected);
    for (let filled = 0; filled < length;) {
      const count = readSync(descriptor, into, start + filled, length - filled, filled);
      if (count === 0) return 0;
      filled += count;
    }
    return isAsExpected(descriptor, expected) ? READ : 0;
  } catch {
    return 0;
  } finally {
    closeSync(descriptor);
  }
}

interface QuickReads {
  readonly parents: Parents;
  readonly expected: (at: number) => Expected;
  readonly into: Uint8Array;
  readonly done: Uint8Array;
}

/**
 * The same with calls that make nothing. A file that takes long comes from the disk, and then those after it most likely do,
 * too: some are opened together, so that the disk reads them all while this thread waits for the first.
 */
function readQuickly(system: SystemCalls, paths: readonly PathKey[], reads: QuickReads): void {
  const { parents, expected, into, done } = reads;
  const open = (at: number): number => {
    const parent = parents.of(paths[at]!);
    return parent === null ? -1 : system.openIn(parent, baseName(paths[at]!));
  };
  for (let at = 0; at < paths.length;) {
    const start = performance.now();
    done[at] = readOpen(system, open(at), expected(at), into);
    at++;
    if (performance.now() - start < SLOW_MS) continue;
    const end = Math.min(at + TOGETHER, paths.length);
    const opened: number[] = [];
    for (let next = at; next < end; next++) {
      const descriptor = open(next);
      if (descriptor >= 0) system.willNeed(descriptor, sizeOf(expected(next)));
      opened.push(descriptor);
    }
    for (const descriptor of opened) done[at] = readOpen(system, descriptor, expected(at++), into);
  }
}

/**
 * Closes the file. Its stat is looked at behind the read only: where that is the one that the walk saw, it was so before the
 * read as well.
 */
function readOpen(system: SystemCalls, descriptor: number, expected: Expected, into: Uint8Array): number {
  if (descriptor < 0) return 0;
  try {
    const start = expected.place;
    const end = start + sizeOf(expected);
    for (let at = start; at < end;) {
      const count = system.read(descriptor, into.subarray(at, end), at - start);
      if (count <= 0) return 0;
      at += count;
    }
    const bare = isBare(system, descriptor);
    if (system.lookAt(descriptor) < 0 || !isStat(system.stat, expected)) return 0;
    return bare ? READ_AND_BARE : READ;
  } finally {
    system.close(descriptor);
  }
}

function isStat(stat: Buffer, { heads, at }: Expected): boolean {
  return (
    (stat.readUInt16LE(STATX.mode) & constants.S_IFMT) === constants.S_IFREG &&
    isTurned(stat, STATX.size, heads, at + SIZE_AT, 8) &&
    isTurned(stat, STATX.modified, heads, at + MTIME_AT, 8) &&
    isTurned(stat, STATX.modified + 8, heads, at + MTIME_AT + 8, 4) &&
    isTurned(stat, STATX.changed, heads, at + CTIME_AT, 8) &&
    isTurned(stat, STATX.changed + 8, heads, at + CTIME_AT + 8, 4) &&
    isTurned(stat, STATX.inode, heads, at + INODE_AT, 8)
  );
}

/** Whether a number of this machine is the same number in a packed entry. */
function isTurned(stat: Buffer, from: number, head: Buffer, at: number, count: number): boolean {
  for (let byte = 0; byte < count; byte++) {
    if (stat[from + count - 1 - byte] !== head[at + byte]) return false;
  }
  return true;
}

/** Leaves the access time alone where that is permitted: to the owner and to root. */
function openQuietly(path: Buffer): number {
  try {
    return openSync(path, QUIETLY | constants.O_NOATIME);
  } catch {
    return openSync(path, QUIETLY);
  }
}

function isAsExpected(descriptor: number, { heads, at }: Expected): boolean {
  const stats = fstatSync(descriptor, { bigint: true });
  if (!stats.isFile()) return false;
  const found = Buffer.allocUnsafe(HEAD_BYTES);
  packHead({ ...statOf(stats), name: '' as ByteName }, found, 0);
  return found.compare(heads, at + SIZE_AT, at + HEAD_BYTES, SIZE_AT) === 0;
}

const smallReadsTask: Task<JoinedReads, Uint8Array> = {
  module: import.meta.url,
  name: 'readSmallFiles',
  run: readSmallFiles,
};
