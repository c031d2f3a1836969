import { closeSync, constants, lstatSync, openSync, readlinkSync } from 'node:fs';
import {
  checkName,
  displayPath,
  joinPath,
  parentPath,
  pathComponents,
  pathToBytes,
  ROOT_PATH,
  type ByteName,
  type PathKey,
} from '../../model/paths.ts';
import { errnoName, errnoWords } from './errno.ts';

/** A descriptor that only names a file: opening it has no effect on the file and needs no right to it. Not in node. */
export const O_PATH = 0o10000000;
const ONLY_NAMED = O_PATH | constants.O_NOFOLLOW;
export const DIRECTORY_ONLY_NAMED = ONLY_NAMED | constants.O_DIRECTORY;
/** Longer paths must be walked in parts. */
const PATH_BYTES_MAX = 4095;

/**
 * A name in an open directory, for calls that take a path: what openat(2) would do, as the kernel resolves the first
 * part to the very directory that is open, wherever it is now.
 */
export function inDirectory(directory: number, name: ByteName): Buffer {
  return Buffer.from(`/proc/self/fd/${directory}/${name}`, 'latin1');
}

/** The file of a descriptor, for calls that take a path. */
export function ofDescriptor(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

/** Why a path could not be walked, and at which of its components. */
export class BrokenPath extends Error {
  override readonly name = 'BrokenPath';
  readonly kind: 'missing' | 'link' | 'no-directory' | 'failed';

  /** @param at the component that is in the way */
  constructor(at: PathKey, kind: BrokenPath['kind'], cause: unknown) {
    const shown = displayPath(at);
    const messages = {
      missing: `${shown} does not exist`,
      link: `${shown} is a symbolic link, and none is followed`,
      'no-directory': `${shown} is not a directory`,
      failed: `${shown} cannot be opened: ${errnoWords(cause)}`,
    };
    super(messages[kind], { cause });
    this.kind = kind;
  }
}

/**
 * Opens (O_PATH) what is at an absolute path, following no symbolic link in any component, not even the last.
 * @param kind `directory` if nothing else will do
 * @throws {BrokenPath}
 */
export function openNamed(path: PathKey, kind: 'any' | 'directory'): number {
  const flags = kind === 'directory' ? DIRECTORY_ONLY_NAMED : ONLY_NAMED;
  for (const name of pathComponents(path)) checkName(name);
  return openAtOnce(path, flags) ?? openByComponents(path, flags);
}

/** One call for the whole path, then a look at where it led: a followed link leads elsewhere. Null: walk instead. */
function openAtOnce(path: PathKey, flags: number): number | null {
  const bytes = pathToBytes(path);
  if (bytes.length > PATH_BYTES_MAX) return null;
  let descriptor: number;
  try {
    descriptor = openSync(bytes, flags);
  } catch {
    return null;
  }
  try {
    if (readlinkSync(ofDescriptor(descriptor), 'buffer').equals(bytes)) return descriptor;
  } catch {
    // Too long a path to be told: walk.
  }
  closeSync(descriptor);
  return null;
}

function openByComponents(path: PathKey, flags: number): number {
  let at = ROOT_PATH;
  let current = openSync('/', DIRECTORY_ONLY_NAMED);
  for (const name of pathComponents(path)) {
    at = joinPath(at, name);
    try {
      const next = openIn(current, name, at, at === path ? flags : DIRECTORY_ONLY_NAMED);
      closeSync(current);
      current = next;
    } catch (error) {
      closeSync(current);
      throw error;
    }
  }
  return current;
}

/**
 * Opens (O_PATH) one name in an open directory.
 * @param at the whole path, for the message
 * @throws {BrokenPath}
 */
export function openIn(directory: number, name: ByteName, at: PathKey, flags = ONLY_NAMED): number {
  checkName(name);
  const bytes = inDirectory(directory, name);
  try {
    return openSync(bytes, flags);
  } catch (error) {
    const code = errnoName(error);
    if (code === 'ENOENT') throw new BrokenPath(at, 'missing', error);
    if (code !== 'ENOTDIR' && code !== 'ELOOP') throw new BrokenPath(at, 'failed', error);
    const found = lstatSync(bytes, { throwIfNoEntry: false });
    throw new BrokenPath(at, found?.isSymbolicLink() ? 'link' : 'no-directory', error);
  }
}

/** Runs with the directory that `path` is in, and closes it. Not for the root, which is in none. */
export function withParent<T>(path: PathKey, run: (directory: number) => T): T {
  const directory = openNamed(parentPath(path), 'directory');
  try {
    return run(directory);
  } finally {
    closeSync(directory);
  }
}
