import type { FileHandle } from 'node:fs/promises';
import { LowtideError } from '../../model/errors.ts';
import { type DirectReading, type DirectWriting, DISK_PAGE_BYTES } from './direct.ts';
import { diskError } from '../system/errno.ts';
import type { ReadableFile, WritableFile } from '../ports.ts';

/** Less is read or written sooner by way of the kernel's page cache. */
const WORTH_DIRECT = 256 * 1024;

export class RealReadableFile implements ReadableFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #direct: Pick<DirectReading, 'read' | 'close'> | null;

  /** @param direct of the same file */
  constructor(path: string, handle: FileHandle, direct: Pick<DirectReading, 'read' | 'close'> | null = null) {
    this.#path = path;
    this.#handle = handle;
    this.#direct = direct;
  }

  async size(): Promise<number> {
    try {
      return (await this.#handle.stat()).size;
    } catch (error) {
      throw diskError(error, 'look at', this.#path);
    }
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    try {
      const direct = length < WORTH_DIRECT ? null : await this.#direct?.read(position, length);
      return direct ?? (await this.#read(position, length));
    } catch (error) {
      throw diskError(error, 'read', this.#path);
    }
  }

  async close(): Promise<void> {
    await closeBoth(this.#direct, this.#handle);
  }

  async #read(position: number, length: number): Promise<Uint8Array> {
    // Memory of its own, so that the reader may hand it to another thread.
    const bytes = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(bytes, filled, length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  }
}

async function closeBoth(direct: Pick<DirectWriting, 'close'> | null, handle: FileHandle): Promise<void> {
  try {
    await direct?.close();
  } finally {
    await handle.close();
  }
}

type Direct = Pick<DirectWriting, 'write' | 'close'>;

/**
 * Writes at its own position, so that calls that overlap keep their order. After the first failure nothing but
 * `close` is answered: the kernel may have dropped what it could not write and would call a second sync good.
 */
export class RealWritableFile implements WritableFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #direct: Direct | null;
  #position: number;
  #failed = false;

  /** @param direct of the same file */
  constructor(path: string, handle: FileHandle, position: number, direct: Direct | null = null) {
    this.#path = path;
    this.#handle = handle;
    this.#direct = direct;
    this.#position = position;
  }

  position(): number {
    return this.#position;
  }

  write(...pieces: Uint8Array[]): Promise<void> {
    return this.#guarded('write', () => {
      const start = this.#position;
      for (const piece of pieces) this.#position += piece.length;
      const full = pieces.filter((piece) => piece.length > 0);
      const worthIt = this.#direct !== null && this.#position - start >= WORTH_DIRECT;
      return worthIt ? this.#writeDirectly(this.#direct, start, full) : this.#writeAt(start, full);
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

  async close(): Promise<void> {
    await closeBoth(this.#direct, this.#handle);
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

  /** What is before the first multiple of DISK_PAGE_BYTES and behind the last goes through the page cache, in pages of its own. */
  async #writeDirectly(direct: Direct, start: number, pieces: Uint8Array[]): Promise<void> {
    const aligned = Math.ceil(start / DISK_PAGE_BYTES) * DISK_PAGE_BYTES;
    await this.#writeAt(start, firstBytes(pieces, aligned - start));
    const rest = afterBytes(pieces, aligned - start);
    const written = await direct.write(rest, aligned);
    await this.#writeAt(aligned + written, afterBytes(rest, written));
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

function firstBytes(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  const first: Uint8Array[] = [];
  let left = count;
  for (const piece of pieces) {
    if (left === 0) break;
    first.push(piece.subarray(0, left));
    left -= first.at(-1)!.length;
  }
  return first;
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
