import { closeSync, constants, fstatSync, openSync, read as readCallback } from 'node:fs';
import { promisify } from 'node:util';
import type { Stat } from '../../model/entries.ts';
import { LowtideError } from '../../model/errors.ts';
import { displayPath, type PathKey } from '../../model/paths.ts';
import { errnoName, errnoWords } from '../system/errno.ts';
import type { Native } from '../system/native.ts';
import { ofDescriptor } from '../system/paths-by-handle.ts';
import type { SourceFile } from '../ports.ts';
import { entryTypeOf, statOf } from '../system/stats.ts';

const read = promisify(readCallback);

/**
 * Opens for reading what is named by a descriptor (O_PATH), if it is a regular file. As the kind is known before
 * anything is opened, no fifo makes it wait and no device notices. All but reading takes the kernel microseconds
 * and is done synchronously: a promise of node:fs costs ten times as much.
 */
export function openSourceFile(named: number, path: PathKey, native: Native | null): SourceFile {
  const type = entryTypeOf(fstatSync(named).mode);
  if (type !== 'file') {
    const kind = type === 'symlink' ? 'symbolic link' : type.replace('-', ' ');
    throw new LowtideError('source-unreadable', `${displayPath(path)} is a ${kind}, not a regular file`);
  }
  return new RealSourceFile(path, openQuietly(ofDescriptor(named)), native);
}

/** Leaves the access time alone where that is permitted: to the owner and to root. */
function openQuietly(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOATIME);
  } catch (error) {
    if (errnoName(error) !== 'EPERM') throw error;
    return openSync(path, constants.O_RDONLY);
  }
}

class RealSourceFile implements SourceFile {
  readonly #path: PathKey;
  readonly #native: Native | null;
  /** Null when closed: the number may be another file's by then. */
  #descriptor: number | null;
  readonly #busy = new Set<Promise<unknown>>();

  constructor(path: PathKey, descriptor: number, native: Native | null) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#native = native;
  }

  stat(): Promise<Stat> {
    return this.#reading(async (descriptor) => statOf(fstatSync(descriptor, { bigint: true })));
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#reading(async (descriptor) => {
      let filled = 0;
      while (filled < into.length) {
        const { bytesRead } = await read(descriptor, into, filled, into.length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled;
    });
  }

  nextData(position: number): Promise<{ start: number; end: number } | null> {
    return this.#reading(async (descriptor) => {
      const { size } = fstatSync(descriptor);
      if (position >= size) return null;
      if (this.#native === null) return { start: position, end: size };
      const start = this.#native.seekData(descriptor, position);
      if (start === null) return null;
      return { start, end: this.#native.seekHole(descriptor, start) ?? size };
    });
  }

  /** Waits for reads under way: closed earlier, they could read another file that got the number. */
  async close(): Promise<void> {
    const descriptor = this.#descriptor;
    this.#descriptor = null;
    await Promise.allSettled(this.#busy);
    if (descriptor !== null) closeSync(descriptor);
  }

  async #reading<T>(run: (descriptor: number) => Promise<T>): Promise<T> {
    if (this.#descriptor === null) throw new TypeError(`${displayPath(this.#path)} is closed`);
    const running = run(this.#descriptor);
    this.#busy.add(running);
    try {
      return await running;
    } catch (error) {
      const message = `${displayPath(this.#path)} cannot be read: ${errnoWords(error)}`;
      throw new LowtideError('source-unreadable', message, { cause: error });
    } finally {
      this.#busy.delete(running);
    }
  }
}
