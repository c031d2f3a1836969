import { constants, fstatSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Stat } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import { displayPath, type PathKey } from '../model/paths.ts';
import { errnoName, errnoWords } from './errno.ts';
import type { Native } from './native.ts';
import { ofDescriptor } from './paths-by-handle.ts';
import type { SourceFile } from './ports.ts';
import { entryTypeOf, statOf } from './stats.ts';

/**
 * Opens for reading what is named by a descriptor (O_PATH), if it is a regular file. As the kind is known before
 * anything is opened, no fifo makes it wait and no device notices.
 */
export async function openSourceFile(
  named: number,
  path: PathKey,
  native: Native | null,
): Promise<SourceFile> {
  const type = entryTypeOf(fstatSync(named).mode);
  if (type !== 'file') {
    const kind = type === 'symlink' ? 'symbolic link' : type.replace('-', ' ');
    throw new LowtideError('source-unreadable', `${displayPath(path)} is a ${kind}, not a regular file`);
  }
  return new RealSourceFile(path, await openQuietly(ofDescriptor(named)), native);
}

/** Leaves the access time alone where that is permitted: to the owner and to root. */
async function openQuietly(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOATIME);
  } catch (error) {
    if (errnoName(error) !== 'EPERM') throw error;
    return open(path, constants.O_RDONLY);
  }
}

class RealSourceFile implements SourceFile {
  readonly #path: PathKey;
  readonly #handle: FileHandle;
  readonly #native: Native | null;

  constructor(path: PathKey, handle: FileHandle, native: Native | null) {
    this.#path = path;
    this.#handle = handle;
    this.#native = native;
  }

  stat(): Promise<Stat> {
    return this.#reading(async () => statOf(await this.#handle.stat({ bigint: true })));
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#reading(async () => {
      let filled = 0;
      while (filled < into.length) {
        const { bytesRead } = await this.#handle.read(into, filled, into.length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled;
    });
  }

  nextData(position: number): Promise<{ start: number; end: number } | null> {
    return this.#reading(async () => {
      const { size } = await this.#handle.stat();
      if (position >= size) return null;
      if (this.#native === null) return { start: position, end: size };
      const start = this.#native.seekData(this.#handle.fd, position);
      if (start === null) return null;
      return { start, end: this.#native.seekHole(this.#handle.fd, start) ?? size };
    });
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #reading<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const message = `${displayPath(this.#path)} cannot be read: ${errnoWords(error)}`;
      throw new LowtideError('source-unreadable', message, { cause: error });
    }
  }
}
