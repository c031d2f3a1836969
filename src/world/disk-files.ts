import type { FileHandle } from 'node:fs/promises';
import { LowtideError } from '../model/errors.ts';
import { diskError } from './errno.ts';
import type { ReadableFile, WritableFile } from './ports.ts';

export class RealReadableFile implements ReadableFile {
  readonly #path: string;
  readonly #handle: FileHandle;

  constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  async size(): Promise<number> {
    try {
      return (await this.#handle.stat()).size;
    } catch (error) {
      throw diskError(error, 'look at', this.#path);
    }
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    // Memory of its own, so that the reader may hand it to another thread.
    const bytes = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    try {
      while (filled < length) {
        const { bytesRead } = await this.#handle.read(bytes, filled, length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
    } catch (error) {
      throw diskError(error, 'read', this.#path);
    }
    return bytes.subarray(0, filled);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/**
 * Writes at its own position, so that calls that overlap keep their order. After the first failure nothing but
 * `close` is answered: the kernel may have dropped what it could not write and would call a second sync good.
 */
export class RealWritableFile implements WritableFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  #position: number;
  #failed = false;

  constructor(path: string, handle: FileHandle, position: number) {
    this.#path = path;
    this.#handle = handle;
    this.#position = position;
  }

  position(): number {
    return this.#position;
  }

  write(...pieces: Uint8Array[]): Promise<void> {
    return this.#guarded('write', () => {
      const start = this.#position;
      for (const piece of pieces) this.#position += piece.length;
      return this.#writeAt(
        start,
        pieces.filter((piece) => piece.length > 0),
      );
    });
  }

  truncate(length: number): Promise<void> {
    return this.#guarded('truncate', () => {
      this.#position = length;
      return this.#handle.truncate(length);
    });
  }

  sync(): Promise<void> {
    return this.#guarded('sync', () => this.#handle.sync());
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #guarded(doing: string, run: () => Promise<void>): Promise<void> {
    if (this.#failed) {
      const message = `cannot ${doing} ${this.#path}: an earlier write or sync of it failed, so it must be given up`;
      throw new LowtideError('disk-failed', message);
    }
    try {
      await run();
    } catch (error) {
      this.#failed = true;
      throw diskError(error, doing, this.#path);
    }
  }

  async #writeAt(start: number, pieces: Uint8Array[]): Promise<void> {
    let position = start;
    let rest = pieces;
    while (rest.length > 0) {
      const { bytesWritten } = await this.#handle.writev(rest, position);
      position += bytesWritten;
      rest = afterBytes(rest, bytesWritten);
    }
  }
}

/** What is left to write of these pieces after a short write. */
export function afterBytes(pieces: Uint8Array[], written: number): Uint8Array[] {
  let left = written;
  for (const [at, piece] of pieces.entries()) {
    if (left < piece.length) return [piece.subarray(left), ...pieces.slice(at + 1)];
    left -= piece.length;
  }
  return [];
}
