import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { baseName, joinPath, parentPath, ROOT_PATH, type ByteName, type PathKey } from '../../model/paths.ts';
import { errnoName } from '../system/errno.ts';
import { BrokenPath, DIRECTORY_ONLY_NAMED, ofDescriptor, openIn } from '../system/paths-by-handle.ts';

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
  /** Descriptors that somebody has borrowed, and how often; one that is not in `#open` any more is closed by the last. */
  readonly #borrowed = new Map<number, number>();
  /** Of open descriptors: whether what is made there gets an access control list unasked. */
  readonly #givesLists = new Map<number, boolean>();
  readonly #hasDefaultList: (directory: number) => boolean;
  /** A readable descriptor on each file system that has been seen, opened before anything is written there; or null. */
  readonly #fileSystems = new Map<bigint, number | null>();

  /**
   * @param root an open directory, which is closed with this
   * @param rootPath for messages
   * @param hasDefaultList asked once for each directory that `givesLists` is asked of
   */
  constructor(root: number, rootPath: PathKey, hasDefaultList: (directory: number) => boolean) {
    this.#root = root;
    this.#hasDefaultList = hasDefaultList;
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

  /** @param descriptor one that is open here or borrowed */
  givesLists(descriptor: number): boolean {
    const known = this.#givesLists.get(descriptor);
    if (known !== undefined) return known;
    const gives = this.#hasDefaultList(descriptor);
    this.#givesLists.set(descriptor, gives);
    return gives;
  }

  /** The absolute path of a path in the target. */
  whole(path: PathKey): PathKey {
    return path === ROOT_PATH ? this.#rootPath : joinPath(this.#rootPath, path as string as ByteName);
  }

  /** A descriptor that stays good until it is given back. */
  borrow(path: PathKey): number {
    const descriptor = this.open(path);
    this.#borrowed.set(descriptor, (this.#borrowed.get(descriptor) ?? 0) + 1);
    return descriptor;
  }

  giveBack(descriptor: number): void {
    const others = this.#borrowed.get(descriptor)! - 1;
    if (others > 0) {
      this.#borrowed.set(descriptor, others);
      return;
    }
    this.#borrowed.delete(descriptor);
    if (descriptor !== this.#root && !this.#isOpen(descriptor)) this.#close(descriptor);
  }

  /** Something else has this name now. */
  forget(path: PathKey): void {
    if (!this.#open.has(path)) return;
    for (const [known, descriptor] of this.#open) this.#drop(known, descriptor);
  }

  fileSystems(): readonly (number | null)[] {
    return [...this.#fileSystems.values()];
  }

  /** What is borrowed still is closed by who gives it back. */
  close(): void {
    for (const [path, descriptor] of this.#open) this.#drop(path, descriptor);
    for (const descriptor of this.#fileSystems.values()) if (descriptor !== null) closeSync(descriptor);
    closeSync(this.#root);
    this.#fileSystems.clear();
  }

  #evict(): void {
    for (const [oldest, descriptor] of this.#open) {
      if (this.#open.size <= OPEN_MAX) return;
      this.#drop(oldest, descriptor);
    }
  }

  #drop(path: PathKey, descriptor: number): void {
    this.#open.delete(path);
    if (!this.#borrowed.has(descriptor)) this.#close(descriptor);
  }

  #close(descriptor: number): void {
    this.#givesLists.delete(descriptor);
    closeSync(descriptor);
  }

  #isOpen(descriptor: number): boolean {
    for (const open of this.#open.values()) if (open === descriptor) return true;
    return false;
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
