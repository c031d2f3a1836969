import type { DiskLock } from '../world/ports.ts';
import type { CrashPolicy, SurvivalDraw } from './disk-file.ts';
import { DiskTree, type DirectoryImage, type DiskInode } from './disk-tree.ts';
import type { Faults } from './faults.ts';
import type { Incarnation } from './incarnation.ts';
import type { RandomStream } from './random.ts';
import { refusal } from './refusal.ts';

/** What one machine's disk keeps from one incarnation to the next, and how a scenario damages or fills it. */
export class SimulatedDisk {
  readonly tree: DiskTree;
  readonly faults: Faults;
  /** For what the hardware decides at a failed sync. */
  readonly random: RandomStream;
  /** Bytes, in whole sectors. Writing beyond it gives ENOSPC. */
  capacity = 2 ** 40;
  #used = 0;
  readonly #locks = new Map<DiskInode, Incarnation>();

  constructor(sectorBytes: number, faults: Faults, random: RandomStream) {
    this.tree = new DiskTree(sectorBytes, (bytes) => void (this.#used += bytes));
    this.faults = faults;
    this.random = random;
  }

  get used(): number {
    return this.#used;
  }

  get free(): number {
    return Math.max(0, this.capacity - this.#used);
  }

  /** ENOSPC for whatever would take more than `bytes` from now on. */
  leaveFree(bytes: number): void {
    this.capacity = this.#used + bytes;
  }

  /** The bytes of a file as readers see them: for scenarios and checkers, not an operation. */
  bytesOf(path: string): Uint8Array {
    const file = this.tree.file(path);
    return file.read(0, file.size);
  }

  /** Flips bits of a stored file: nobody is told. */
  corrupt(path: string, offset: number, xor: Uint8Array | number): void {
    this.tree.file(path).corrupt(offset, typeof xor === 'number' ? Uint8Array.of(xor) : xor);
  }

  /** The stored file has other bytes now (cut, swapped, of another day), durably: nobody is told. */
  replace(path: string, bytes: Uint8Array): void {
    this.tree.file(path).replace(bytes);
  }

  /** Somebody deletes a file or a whole directory, durably. */
  wipe(path: string): void {
    this.tree.wipe(path);
  }

  /** Every file's path, sorted: for scenarios and checkers. */
  paths(): string[] {
    const found: string[] = [];
    const visit = (path: string, inode: DiskInode): void => {
      if (inode.kind === 'file') found.push(path);
      else for (const [name, child] of inode.entries) visit(`${path}/${name}`, child);
    };
    visit('', this.tree.root);
    return found.toSorted();
  }

  image(): DirectoryImage {
    return this.tree.image();
  }

  imageAfter(policy: CrashPolicy, draw: SurvivalDraw): DirectoryImage {
    return this.tree.imageAfter(policy, draw);
  }

  restore(image: DirectoryImage): void {
    this.#locks.clear();
    this.#used = 0;
    this.tree.restore(image);
  }

  lock(path: string, incarnation: Incarnation): DiskLock | null {
    const file = this.tree.find(path) ?? this.tree.createFile(path);
    if (file.kind !== 'file') throw refusal('EISDIR', path);
    if (this.#locks.get(file)?.alive === true) return null;
    this.#locks.set(file, incarnation);
    let held = true;
    return {
      release: () =>
        incarnation.answer(() => {
          if (held) this.#locks.delete(file);
          held = false;
        }),
    };
  }
}
