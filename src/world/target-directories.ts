import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { baseName, joinPath, parentPath, ROOT_PATH, type ByteName, type PathKey } from '../model/paths.ts';
import { errnoName } from './errno.ts';
import { BrokenPath, DIRECTORY_ONLY_NAMED, ofDescriptor, openIn } from './paths-by-handle.ts';

const OPEN_MAX = 64;

/**
 * The directories of a restore, opened one component after another from the root and never through a link. The last
 * used stay open. A descriptor that `open` answers is good until the next call only, so all that is done with it
 * must be done synchronously: later its number could be another directory's.
 */
export class TargetDirectories {
  readonly #root: number;
  readonly #rootPath: PathKey;
  /** The least recently used first. */
  readonly #open = new Map<PathKey, number>();
  /** A readable descriptor on each file system that has been seen, opened before anything is written there; or null. */
  readonly #fileSystems = new Map<bigint, number | null>();

  /**
   * @param root an open directory, which is closed with this
   * @param rootPath for messages
   */
  constructor(root: number, rootPath: PathKey) {
    this.#root = root;
    this.#rootPath = rootPath;
    this.#see(root);
  }

  /** @throws {BrokenPath} */
  open(path: PathKey): number {
    if (path === ROOT_PATH) return this.#root;
    const known = this.#open.get(path);
    if (known !== undefined) {
      this.#open.delete(path);
      this.#open.set(path, known);
      return known;
    }
    const parent = this.open(parentPath(path));
    const opened = openIn(parent, baseName(path), this.whole(path), DIRECTORY_ONLY_NAMED);
    this.#open.set(path, opened);
    this.#see(opened);
    this.#evict();
    return opened;
  }

  /** Null if there is no such directory. */
  openIfThere(path: PathKey): number | null {
    try {
      return this.open(path);
    } catch (error) {
      if (error instanceof BrokenPath && (error.kind === 'missing' || error.kind === 'no-directory'))
        return null;
      throw error;
    }
  }

  /** The absolute path of a path in the target. */
  whole(path: PathKey): PathKey {
    return path === ROOT_PATH ? this.#rootPath : joinPath(this.#rootPath, path as string as ByteName);
  }

  /** A descriptor of the caller's own. */
  openOwn(path: PathKey): number {
    return openSync(ofDescriptor(this.open(path)), DIRECTORY_ONLY_NAMED & ~constants.O_NOFOLLOW);
  }

  /** Something else has this name now. */
  forget(path: PathKey): void {
    if (!this.#open.has(path)) return;
    for (const descriptor of this.#open.values()) closeSync(descriptor);
    this.#open.clear();
  }

  fileSystems(): readonly (number | null)[] {
    return [...this.#fileSystems.values()];
  }

  close(): void {
    for (const descriptor of this.#open.values()) closeSync(descriptor);
    for (const descriptor of this.#fileSystems.values()) if (descriptor !== null) closeSync(descriptor);
    closeSync(this.#root);
    this.#open.clear();
    this.#fileSystems.clear();
  }

  #evict(): void {
    for (const [oldest, descriptor] of this.#open) {
      if (this.#open.size <= OPEN_MAX) return;
      this.#open.delete(oldest);
      closeSync(descriptor);
    }
  }

  #see(directory: number): void {
    const { dev } = fstatSync(directory, { bigint: true });
    if (typeof this.#fileSystems.get(dev) === 'number') return;
    this.#fileSystems.set(dev, openReadable(directory));
  }
}

/** Null if it may not be read. */
function openReadable(directory: number): number | null {
  try {
    return openSync(ofDescriptor(directory), constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (errnoName(error) === 'EACCES') return null;
    throw error;
  }
}
