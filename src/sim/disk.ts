import { diskError } from '../world/system/errno.ts';
import type { Disk, DiskLock, DiskName } from '../world/ports.ts';
import { SimulatedReader, SimulatedWriter, diskOperation } from './disk-handles.ts';
import type { SimulatedDisk } from './disk-store.ts';
import { componentsOf, type DiskTree } from './disk-tree.ts';
import type { Incarnation } from './incarnation.ts';
import { refusal } from './refusal.ts';

/** The Disk port of one incarnation: each call is one operation, but `makeDirectory`, which is two a level. */
export function simulatedDisk(disk: SimulatedDisk, incarnation: Incarnation): Disk {
  return new DiskPort(disk, incarnation);
}

class DiskPort implements Disk {
  readonly #disk: SimulatedDisk;
  readonly #tree: DiskTree;
  readonly #incarnation: Incarnation;

  constructor(disk: SimulatedDisk, incarnation: Incarnation) {
    this.#disk = disk;
    this.#tree = disk.tree;
    this.#incarnation = incarnation;
  }

  openRead(path: string): Promise<SimulatedReader> {
    return this.#look('openRead', 'open', path, () => {
      return new SimulatedReader(this.#disk, this.#incarnation, path, this.#tree.file(path));
    });
  }

  create(path: string): Promise<SimulatedWriter> {
    return this.#change('create', 'create', path, () => {
      return new SimulatedWriter(this.#disk, this.#incarnation, path, this.#tree.createFile(path));
    });
  }

  memoryForWrites(length: number): Uint8Array {
    return new Uint8Array(length);
  }

  openAppend(path: string): Promise<SimulatedWriter> {
    return this.#look('openAppend', 'open', path, () => {
      return new SimulatedWriter(this.#disk, this.#incarnation, path, this.#tree.file(path));
    });
  }

  list(path: string): Promise<DiskName[]> {
    return this.#look('list', 'list', path, () =>
      [...this.#tree.directory(path).entries]
        .map(([name, inode]): DiskName => ({ name, kind: inode.kind }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
  }

  stat(path: string): ReturnType<Disk['stat']> {
    return this.#look('stat', 'look at', path, () => {
      const inode = this.#tree.find(path);
      if (inode === undefined) return null;
      return { size: inode.kind === 'file' ? inode.size : 0, kind: inode.kind };
    });
  }

  /** From the top down, each one made and then synced into its parent, as the real one does. */
  async makeDirectory(path: string): Promise<void> {
    const components = componentsOf(path);
    let parent = '/';
    for (const name of components) {
      const level = parent === '/' ? `/${name}` : `${parent}/${name}`;
      const exists = await this.#incarnation.answer(() => this.#tree.find(level)?.kind);
      if (exists === undefined) {
        await this.#change('makeDirectory', 'make the directory', level, () => {
          // Somebody else may have made it between the look and now.
          if (this.#tree.find(level)?.kind !== 'directory') this.#tree.createDirectory(level);
        });
        await this.syncDirectory(parent);
      } else if (exists === 'file') {
        throw diskError(refusal('ENOTDIR', level), 'make the directory', path);
      } else if (level === path) {
        await this.syncDirectory(parent);
      }
      parent = level;
    }
  }

  rename(from: string, to: string): Promise<void> {
    return this.#change('rename', 'rename to', to, () => this.#tree.rename(from, to), from);
  }

  remove(path: string): Promise<void> {
    return this.#change('remove', 'remove', path, () => this.#tree.remove(path));
  }

  syncDirectory(path: string): Promise<void> {
    return this.#change('syncDirectory', 'sync', path, () => this.#tree.syncDirectory(path));
  }

  lock(path: string): Promise<DiskLock | null> {
    return this.#change('lock', 'lock', path, () => this.#disk.lock(path, this.#incarnation));
  }

  space(path: string): ReturnType<Disk['space']> {
    return this.#look('space', 'measure the space of', path, () => {
      if (this.#tree.find(path) === undefined) throw refusal('ENOENT', path);
      return { free: this.#disk.free, total: this.#disk.capacity };
    });
  }

  #look<T>(kind: string, doing: string, path: string, effect: () => T): Promise<T> {
    return diskOperation(this.#disk, this.#incarnation, { kind, doing, path, changes: false }, effect);
  }

  #change<T>(kind: string, doing: string, path: string, effect: () => T, from?: string): Promise<T> {
    const detail = from === undefined ? path : `${from} -> ${path}`;
    return diskOperation(this.#disk, this.#incarnation, { kind, doing, path, detail, changes: true }, effect);
  }
}
