import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { errnoName } from './errno.ts';
import { type Native, nativeOrNull } from './native.ts';

/** Every kind of disk takes what begins and ends, in the file and in memory, at multiples of this. */
export const DIRECT_ALIGN = 4096;
const STAGE_BYTES = 1024 * 1024;
const STAGES = 4;

/** The part of the standard that is used here: TypeScript has it only together with the DOM. */
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => {
    readonly buffer: ArrayBuffer;
  };
};
const WASM_PAGE_BYTES = 64 * 1024;

/** A few pieces of aligned memory that all files of one disk share: made at the first use, and waited for when all are taken. */
export class Stages {
  #free: Uint8Array[] | null = null;
  readonly #waiting: ((stage: Uint8Array) => void)[] = [];

  async take(): Promise<Uint8Array> {
    this.#free ??= alignedPieces();
    return this.#free.pop() ?? (await new Promise((resolve) => this.#waiting.push(resolve)));
  }

  giveBack(stage: Uint8Array): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free?.push(stage);
    else next(stage);
  }
}

/** Node says nowhere where its own memory is; that of WebAssembly begins at a page. */
function alignedPieces(): Uint8Array[] {
  const pages = (STAGES * STAGE_BYTES) / WASM_PAGE_BYTES;
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
  return Array.from({ length: STAGES }, (_, at) => new Uint8Array(buffer, at * STAGE_BYTES, STAGE_BYTES));
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
    const before = position % DIRECT_ALIGN;
    const room = Math.ceil((before + length) / DIRECT_ALIGN) * DIRECT_ALIGN;
    const memory = Buffer.allocUnsafeSlow(room + DIRECT_ALIGN);
    const at = DIRECT_ALIGN - (this.#native.addressOf(memory) % DIRECT_ALIGN);
    const filled = await this.#fill(memory.subarray(at, at + room), position - before);
    return filled === null ? null : memory.subarray(at + before, at + Math.min(filled, before + length));
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
        if (bytesRead === 0 || filled === memory.length || filled % DIRECT_ALIGN > 0) return filled;
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
  #refused = false;

  private constructor(handle: fs.FileHandle, stages: Stages) {
    this.#handle = handle;
    this.#stages = stages;
  }

  /** Null where the system or the file system has no such writes. */
  static async open(path: string, stages: Stages): Promise<DirectWriting | null> {
    const handle = await openDirect(path, constants.O_WRONLY);
    return handle === null ? null : new DirectWriting(handle, stages);
  }

  /**
   * Writes at `position`, a multiple of DIRECT_ALIGN, what these pieces begin with.
   * @returns how many bytes: all up to the last multiple of DIRECT_ALIGN, or fewer if the file system takes no more in this way
   */
  async write(pieces: readonly Uint8Array[], position: number): Promise<number> {
    const from = new Cursor(pieces);
    const parts: Promise<Part>[] = [];
    for (let at = position; !this.#refused && from.left >= DIRECT_ALIGN;) {
      const stage = await this.#stages.take();
      const bytes = stage.subarray(0, from.fill(stage));
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

/** Copies pieces, one after another, into memory of another size. */
class Cursor {
  readonly #pieces: readonly Uint8Array[];
  #piece = 0;
  #offset = 0;
  left: number;

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces;
    this.left = pieces.reduce((sum, { length }) => sum + length, 0);
  }

  /** @returns bytes, as many as there is room for, always a multiple of DIRECT_ALIGN */
  fill(stage: Uint8Array): number {
    const room = Math.min(stage.length, this.left - (this.left % DIRECT_ALIGN));
    for (let filled = 0; filled < room;) {
      const piece = this.#pieces[this.#piece]!;
      const part = piece.subarray(this.#offset, this.#offset + room - filled);
      stage.set(part, filled);
      filled += part.length;
      this.#offset += part.length;
      if (this.#offset < piece.length) continue;
      this.#piece++;
      this.#offset = 0;
    }
    this.left -= room;
    return room;
  }
}
