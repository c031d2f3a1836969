import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { errnoName } from '../system/errno.ts';
import { type Native, nativeOrNull } from '../system/native.ts';

/** Every kind of disk takes past the page cache what begins and ends, in the file and in memory, at multiples of this. */
export const DISK_PAGE_BYTES = 4096;
const STAGE_BYTES = 1024 * 1024;
const STAGES = 4;
/** Less is copied together with what is beside it: few large writes take the disk less time than many small ones. */
const WORTH_LYING = 64 * 1024;

/** Memory that begins at a multiple of DISK_PAGE_BYTES. */
export function alignedMemory(native: Native, length: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(length + DISK_PAGE_BYTES);
  const at = DISK_PAGE_BYTES - (native.addressOf(memory) % DISK_PAGE_BYTES);
  return memory.subarray(at, at + length);
}

/**
 * A few pieces of aligned memory that all files of one disk share, and with that the right to write as much at once: made at
 * the first use, and waited for when all are taken.
 */
export class Stages {
  #free: Uint8Array[] | null = null;
  readonly #waiting: ((stage: Uint8Array) => void)[] = [];

  async take(native: Native): Promise<Uint8Array> {
    this.#free ??= Array.from({ length: STAGES }, () => alignedMemory(native, STAGE_BYTES));
    return this.#free.pop() ?? (await new Promise((resolve) => this.#waiting.push(resolve)));
  }

  giveBack(stage: Uint8Array): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free?.push(stage);
    else next(stage);
  }
}

async function openDirect(path: string, flags: number): Promise<fs.FileHandle | null> {
  const direct = constants.O_DIRECT as number | undefined;
  if (direct === undefined) return null;
  try {
    return await fs.open(path, flags | direct);
  } catch (error) {
    if (errnoName(error) === 'EINVAL') return null;
    throw error;
  }
}

/** A second descriptor of a file, whose reads come from the disk without a copy in the kernel's page cache. */
export class DirectReading {
  readonly #handle: fs.FileHandle;
  readonly #native: Native;

  private constructor(handle: fs.FileHandle, native: Native) {
    this.#handle = handle;
    this.#native = native;
  }

  /** Null where there are no such reads. */
  static async open(path: string, native: () => Native): Promise<DirectReading | null> {
    const loaded = nativeOrNull(native);
    const handle = loaded === null ? null : await openDirect(path, constants.O_RDONLY);
    return loaded === null || handle === null ? null : new DirectReading(handle, loaded);
  }

  /** As ReadableFile, in memory of its own; null if the file system will not have it so. */
  async read(position: number, length: number): Promise<Uint8Array | null> {
    const before = position % DISK_PAGE_BYTES;
    const room = Math.ceil((before + length) / DISK_PAGE_BYTES) * DISK_PAGE_BYTES;
    const memory = alignedMemory(this.#native, room);
    const filled = await this.#fill(memory, position - before);
    return filled === null ? null : memory.subarray(before, Math.min(filled, before + length));
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #fill(memory: Uint8Array, position: number): Promise<number | null> {
    try {
      for (let filled = 0; ;) {
        const { bytesRead } = await this.#handle.read(
          memory,
          filled,
          memory.length - filled,
          position + filled,
        );
        filled += bytesRead;
        // A part of a page is read at the end of the file only.
        if (bytesRead === 0 || filled === memory.length || filled % DISK_PAGE_BYTES > 0) return filled;
      }
    } catch (error) {
      if (errnoName(error) !== 'EINVAL') throw error;
      return null;
    }
  }
}

/** A second descriptor of a file, whose writes go to the disk without a copy in the kernel's page cache (O_DIRECT). */
export class DirectWriting {
  readonly #handle: fs.FileHandle;
  readonly #stages: Stages;
  readonly #native: Native;
  #refused = false;

  private constructor(handle: fs.FileHandle, stages: Stages, native: Native) {
    this.#handle = handle;
    this.#stages = stages;
    this.#native = native;
  }

  /** Null where the system or the file system has no such writes. */
  static async open(path: string, stages: Stages, native: () => Native): Promise<DirectWriting | null> {
    const loaded = nativeOrNull(native);
    const handle = loaded === null ? null : await openDirect(path, constants.O_WRONLY);
    return loaded === null || handle === null ? null : new DirectWriting(handle, stages, loaded);
  }

  /**
   * Writes at `position`, a multiple of DISK_PAGE_BYTES, what these pieces begin with: from where it is, if pages of memory are
   * pages of the file there, else from a copy.
   * @returns how many bytes: all up to the last multiple of DISK_PAGE_BYTES, or fewer if the file system takes no more in this way
   */
  async write(pieces: readonly Uint8Array[], position: number): Promise<number> {
    const from = new Cursor(pieces, this.#native);
    const parts: Promise<Part>[] = [];
    for (let at = position; !this.#refused && from.left >= DISK_PAGE_BYTES;) {
      const stage = await this.#stages.take(this.#native);
      const bytes = from.take(stage);
      // The next is copied while this one is written, and the disk has several to do at once.
      parts.push(this.#writePart(bytes, at).finally(() => this.#stages.giveBack(stage)));
      at += bytes.length;
    }
    return contiguous(await Promise.all(parts));
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  /** Never rejects: the kernel looks at the others until they have ended too. */
  async #writePart(bytes: Uint8Array, position: number): Promise<Part> {
    const { length } = bytes;
    try {
      const { bytesWritten: taken } = await this.#handle.write(bytes, 0, length, position);
      return { length, taken, failure: null };
    } catch (error) {
      // Nothing was written: the file system wants another alignment, or has none of this after all.
      this.#refused = true;
      return { length, taken: 0, failure: errnoName(error) === 'EINVAL' ? null : { error } };
    }
  }
}

/** One write: how much of it was done, or what went wrong. */
interface Part {
  readonly length: number;
  readonly taken: number;
  readonly failure: { readonly error: unknown } | null;
}

/** Bytes up to the first that was not written. @throws what went wrong */
function contiguous(parts: readonly Part[]): number {
  const failure = parts.find((part) => part.failure !== null)?.failure;
  if (failure) throw failure.error;
  const short = parts.findIndex(({ length, taken }) => taken < length);
  const done = short < 0 ? parts : parts.slice(0, short + 1);
  return done.reduce((sum, { taken }) => sum + taken, 0);
}

/** Takes what is to be written page by page of the file, from pieces that begin at a page. */
class Cursor {
  /** Pieces, those that follow each other in memory in one. */
  readonly #stretches: readonly Uint8Array[];
  readonly #native: Native;
  #stretch = 0;
  #offset = 0;
  left: number;

  constructor(pieces: readonly Uint8Array[], native: Native) {
    this.#stretches = stretchesOf(pieces);
    this.#native = native;
    this.left = pieces.reduce((sum, { length }) => sum + length, 0);
  }

  /** @returns what is next, in whole pages, not more than there is room for in the stage: in the stage only if it had to be copied */
  take(stage: Uint8Array): Uint8Array {
    const lying = this.#lying(0);
    if (lying > 0) return this.#next(Math.min(lying, stage.length));
    const room = Math.min(stage.length, this.left - (this.left % DISK_PAGE_BYTES));
    let filled = 0;
    while (filled < room) {
      const toPage = -filled & (DISK_PAGE_BYTES - 1);
      // What need not be copied is, as far as it shares a page with what is before it.
      const isLying = this.#lying(toPage) > 0;
      if (isLying && toPage === 0) break;
      const part = this.#next(isLying ? toPage : room - filled);
      stage.set(part, filled);
      filled += part.length;
    }
    return stage.subarray(0, filled);
  }

  /** How much of this stretch, `beyond` so many bytes, is whole pages of memory. */
  #lying(beyond: number): number {
    const rest = this.#stretches[this.#stretch]!.subarray(this.#offset + beyond);
    const pages = rest.length - (rest.length % DISK_PAGE_BYTES);
    return pages >= WORTH_LYING && this.#native.addressOf(rest) % DISK_PAGE_BYTES === 0 ? pages : 0;
  }

  /** Up to so many bytes of this stretch. */
  #next(most: number): Uint8Array {
    const stretch = this.#stretches[this.#stretch]!;
    const part = stretch.subarray(this.#offset, this.#offset + most);
    this.#offset += part.length;
    this.left -= part.length;
    if (this.#offset === stretch.length) {
      this.#stretch++;
      this.#offset = 0;
    }
    return part;
  }
}

function stretchesOf(pieces: readonly Uint8Array[]): Uint8Array[] {
  const stretches: Uint8Array[] = [];
  for (const piece of pieces) {
    const last = stretches.at(-1);
    const end = last === undefined ? -1 : last.byteOffset + last.length;
    if (last?.buffer !== piece.buffer || end !== piece.byteOffset) stretches.push(piece);
    else
      stretches[stretches.length - 1] = new Uint8Array(
        piece.buffer,
        last.byteOffset,
        last.length + piece.length,
      );
  }
  return stretches;
}
