import type { Disk, ReadableFile, Rereading, WritableFile } from '../world/ports.ts';

/**
 * Where packs are kept. A complete pack never changes, so that one object of a cloud store can stand for it. Errors
 * as Disk.
 */
export interface PackStore {
  /** Names, sorted. */
  list(): Promise<string[]>;
  /** Null if there is none of this name. */
  size(name: string): Promise<number | null>;
  /** A new pack, which must not exist. */
  create(name: string, again: Rereading): Promise<PackSink>;
  /** Up to `length` bytes, fewer only at the end of the pack. In memory of its own. */
  read(name: string, position: number, length: number): Promise<Uint8Array>;
  /** Gives back the space of what is behind `length`. Not durable: who calls it must not care. */
  cut(name: string, length: number): Promise<void>;
  /** Makes everything durable that can be read of a pack that somebody else left behind. */
  settle(name: string): Promise<void>;
  /** Durable when it resolves; the system may give their space back a moment later. Nothing happens for those that do not exist. */
  remove(names: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export interface PackSink {
  write(pieces: readonly Uint8Array[]): Promise<void>;
  /** Makes the bytes and the name durable. After a failure the pack must be given up. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Files that stay open for reading. */
const HANDLES_MAX = 32;

interface Handle {
  readonly file: Promise<ReadableFile>;
  users: number;
  /** To be closed by its last user. */
  doomed: boolean;
}

/** One file a pack in one directory. */
export class DirectoryPackStore implements PackStore {
  readonly #disk: Disk;
  readonly #directory: string;
  /** The least recently used first. */
  readonly #handles = new Map<string, Handle>();
  /** Of files that are gone: the system gives all their space back at the last close, which takes its time. */
  readonly #closing = new Set<Promise<void>>();

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  async list(): Promise<string[]> {
    const names = await this.#disk.list(this.#directory);
    return names.filter((entry) => entry.kind === 'file').map((entry) => entry.name);
  }

  async size(name: string): Promise<number | null> {
    return (await this.#disk.stat(this.#path(name)))?.size ?? null;
  }

  async create(name: string, again: Rereading): Promise<PackSink> {
    return new FileSink(this.#disk, this.#directory, await this.#disk.create(this.#path(name), again));
  }

  async read(name: string, position: number, length: number): Promise<Uint8Array> {
    const handle = this.#lease(name);
    try {
      return await (await handle.file).read(position, length);
    } finally {
      await this.#release(handle);
    }
  }

  async cut(name: string, length: number): Promise<void> {
    await this.#withFile(name, (file) => file.truncate(length));
  }

  async settle(name: string): Promise<void> {
    await this.#withFile(name, (file) => file.sync());
    await this.#disk.syncDirectory(this.#directory);
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) {
      await this.#disk.remove(this.#path(name));
      const closing = this.#retire(name).finally(() => this.#closing.delete(closing));
      this.#closing.add(closing);
    }
    if (names.length > 0) await this.#disk.syncDirectory(this.#directory);
  }

  async close(): Promise<void> {
    for (const name of this.#handles.keys()) await this.#retire(name);
    await Promise.all(this.#closing);
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }

  async #withFile(name: string, work: (file: WritableFile) => Promise<void>): Promise<void> {
    const file = await this.#disk.openAppend(this.#path(name));
    try {
      await work(file);
    } finally {
      await file.close();
    }
  }

  #lease(name: string): Handle {
    const handle = this.#handles.get(name) ?? {
      file: this.#disk.openRead(this.#path(name), 'late'),
      users: 0,
      doomed: false,
    };
    handle.users++;
    this.#handles.delete(name);
    this.#handles.set(name, handle);
    void handle.file.catch(() => this.#forget(name, handle));
    return handle;
  }

  async #release(handle: Handle): Promise<void> {
    handle.users--;
    if (handle.doomed) await this.#closeUnused(handle);
    while (this.#handles.size > HANDLES_MAX) await this.#retire(this.#handles.keys().next().value!);
  }

  /** No new reader gets it; the last one closes it. */
  async #retire(name: string): Promise<void> {
    const handle = this.#handles.get(name);
    if (handle === undefined) return;
    this.#forget(name, handle);
    await this.#closeUnused(handle);
  }

  #forget(name: string, handle: Handle): void {
    handle.doomed = true;
    if (this.#handles.get(name) === handle) this.#handles.delete(name);
  }

  async #closeUnused(handle: Handle): Promise<void> {
    if (handle.users > 0) return;
    // A file that could not be opened need not be closed; its reader has had the error.
    await handle.file.then((file) => file.close()).catch(() => {});
  }
}

class FileSink implements PackSink {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #file: WritableFile;
  #named = false;

  constructor(disk: Disk, directory: string, file: WritableFile) {
    this.#disk = disk;
    this.#directory = directory;
    this.#file = file;
  }

  async write(pieces: readonly Uint8Array[]): Promise<void> {
    await this.#file.write(...pieces);
  }

  async sync(): Promise<void> {
    await this.#file.sync();
    if (this.#named) return;
    await this.#disk.syncDirectory(this.#directory);
    this.#named = true;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
