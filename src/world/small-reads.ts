import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { baseName, type ByteName, parentPath, type PathKey, ROOT_PATH } from '../model/paths.ts';
import { inDirectory, openNamed } from './paths-by-handle.ts';
import type { Kernels, SmallReads, Task, Work } from './ports.ts';
import { STATX, type SystemCalls } from './system-calls.ts';

/** What of `SmallReads.expected` belongs to a file. */
const EXPECTED_FIELDS = 5;
const NANOS = 1_000_000_000n;
const QUIETLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** No name has it, and a string passes between threads faster than a list of them. */
const BETWEEN_PATHS = '/';

interface JoinedReads extends Omit<SmallReads, 'paths'> {
  readonly joinedPaths: string;
}

/** As `Files.readSmall`, in a thread of `work`. */
export function readSmallIn(work: Work, { paths, expected, into }: SmallReads): Promise<Uint8Array> {
  return work.run(smallReadsTask, { joinedPaths: paths.join(BETWEEN_PATHS), expected, into });
}

interface Directory {
  readonly path: PathKey;
  /** Null if it cannot be opened. */
  readonly descriptor: number | null;
}

/**
 * Reads many small files in one thread: five calls of the kernel a file, its directory opened once for all that are in
 * it. O_NONBLOCK, because something else may have taken the file's place since the walk.
 */
export function readSmallFiles({ joinedPaths, expected, into }: JoinedReads, kernels: Kernels): Uint8Array {
  const system = kernels.system?.() ?? null;
  const paths = joinedPaths.split(BETWEEN_PATHS) as PathKey[];
  const done = new Uint8Array(paths.length);
  let directory: Directory = { path: ROOT_PATH, descriptor: null };
  try {
    for (const [at, path] of paths.entries()) {
      const parent = parentPath(path);
      if (at === 0 || directory.path !== parent) {
        close(directory);
        directory = { path: parent, descriptor: directoryOf(parent) };
      }
      if (directory.descriptor === null) continue;
      const fields = expected.subarray(at * EXPECTED_FIELDS, (at + 1) * EXPECTED_FIELDS);
      const name = baseName(path);
      const read =
        system === null
          ? readOne(inDirectory(directory.descriptor, name), fields, into)
          : readQuickly(system, directory.descriptor, name, fields, into);
      if (read) done[at] = 1;
    }
  } finally {
    close(directory);
  }
  return done;
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

/** Any failure is found again, and told, by whoever reads the file by itself. */
function readOne(path: Buffer, expected: BigInt64Array, into: Uint8Array): boolean {
  let descriptor: number;
  try {
    descriptor = openQuietly(path);
  } catch {
    return false;
  }
  try {
    if (!isAsExpected(descriptor, expected)) return false;
    const start = Number(expected[0]);
    const length = Number(expected[1]);
    for (let filled = 0; filled < length;) {
      const count = readSync(descriptor, into, start + filled, length - filled, filled);
      if (count === 0) return false;
      filled += count;
    }
    return isAsExpected(descriptor, expected);
  } catch {
    return false;
  } finally {
    closeSync(descriptor);
  }
}

/** The same with calls that make nothing. */
function readQuickly(
  system: SystemCalls,
  directory: number,
  name: ByteName,
  expected: BigInt64Array,
  into: Uint8Array,
): boolean {
  const descriptor = system.openIn(directory, name);
  if (descriptor < 0) return false;
  try {
    if (system.lookAt(descriptor) < 0 || !isStat(system.stat, expected)) return false;
    const start = Number(expected[0]);
    const end = start + Number(expected[1]);
    for (let at = start; at < end;) {
      const count = system.read(descriptor, into.subarray(at, end), at - start);
      if (count <= 0) return false;
      at += count;
    }
    return system.lookAt(descriptor) === 0 && isStat(system.stat, expected);
  } finally {
    system.close(descriptor);
  }
}

function isStat(stat: Buffer, expected: BigInt64Array): boolean {
  return (
    (stat.readUInt16LE(STATX.mode) & constants.S_IFMT) === constants.S_IFREG &&
    stat.readBigInt64LE(STATX.size) === expected[1] &&
    nanosAt(stat, STATX.modified) === expected[2] &&
    nanosAt(stat, STATX.changed) === expected[3] &&
    stat.readBigInt64LE(STATX.inode) === expected[4]
  );
}

function nanosAt(stat: Buffer, at: number): bigint {
  const nanos = stat.readBigInt64LE(at) * NANOS + BigInt(stat.readUInt32LE(at + 8));
  return BigInt.asIntN(64, nanos);
}

/** Leaves the access time alone where that is permitted: to the owner and to root. */
function openQuietly(path: Buffer): number {
  try {
    return openSync(path, QUIETLY | constants.O_NOATIME);
  } catch {
    return openSync(path, QUIETLY);
  }
}

function isAsExpected(descriptor: number, expected: BigInt64Array): boolean {
  const stats = fstatSync(descriptor, { bigint: true });
  return (
    stats.isFile() &&
    stats.size === expected[1] &&
    BigInt.asIntN(64, stats.mtimeNs) === expected[2] &&
    BigInt.asIntN(64, stats.ctimeNs) === expected[3] &&
    BigInt.asIntN(64, stats.ino) === expected[4]
  );
}

const smallReadsTask: Task<JoinedReads, Uint8Array> = {
  module: import.meta.url,
  name: 'readSmallFiles',
  run: readSmallFiles,
};
