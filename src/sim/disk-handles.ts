import { LowtideError } from '../model/errors.ts';
import { diskError, errnoName } from '../world/system/errno.ts';
import type { ReadableFile, WritableFile } from '../world/ports.ts';
import type { DiskFile } from './disk-file.ts';
import type { SimulatedDisk } from './disk-store.ts';
import type { Incarnation } from './incarnation.ts';
import { refusal } from './refusal.ts';

export interface DiskCall {
  /** The operation's kind without `disk.`. */
  readonly kind: string;
  /** After "cannot" in the error. */
  readonly doing: string;
  readonly path: string;
  readonly detail?: string;
  readonly changes: boolean;
  readonly bytes?: readonly Uint8Array[];
  /** What happens although the operation fails by an injected fault. */
  readonly onFault?: () => void;
}

/** One numbered operation on a disk; injected faults and refusals become LowtideErrors as those of the real disk do. */
export async function diskOperation<T>(
  disk: SimulatedDisk,
  incarnation: Incarnation,
  call: DiskCall,
  effect: () => T,
): Promise<T> {
  const { doing, path, detail = path, changes, bytes = [] } = call;
  const kind = `disk.${call.kind}`;
  try {
    return await incarnation.operation({ kind, detail, changes, bytes }, () => {
      try {
        disk.faults.check(kind, path);
      } catch (error) {
        call.onFault?.();
        throw error;
      }
      return effect();
    });
  } catch (error) {
    throw errnoName(error) === '' ? error : diskError(error, doing, path);
  }
}

class Handle {
  protected readonly disk: SimulatedDisk;
  protected readonly path: string;
  protected readonly file: DiskFile;
  readonly #incarnation: Incarnation;
  #open = true;

  constructor(disk: SimulatedDisk, incarnation: Incarnation, path: string, file: DiskFile) {
    this.disk = disk;
    this.#incarnation = incarnation;
    this.path = path;
    this.file = file;
  }

  async close(): Promise<void> {
    await this.#incarnation.answer(() => void (this.#open = false));
  }

  protected call<T>(call: Omit<DiskCall, 'path'>, effect: () => T): Promise<T> {
    return diskOperation(this.disk, this.#incarnation, { path: this.path, ...call }, () => {
      if (!this.#open) throw refusal('EBADF', this.path);
      return effect();
    });
  }
}

export class SimulatedReader extends Handle implements ReadableFile {
  size(): Promise<number> {
    return this.call({ kind: 'size', doing: 'look at', changes: false }, () => this.file.size);
  }

  read(position: number, length: number): Promise<Uint8Array> {
    const detail = `${this.path} @${position}+${length}`;
    return this.call({ kind: 'read', doing: 'read', detail, changes: false }, () =>
      this.file.read(position, length),
    );
  }
}

/** As the real one: after the first failure nothing but `close` is answered. */
export class SimulatedWriter extends Handle implements WritableFile {
  #position: number;
  #failed = false;

  constructor(disk: SimulatedDisk, incarnation: Incarnation, path: string, file: DiskFile) {
    super(disk, incarnation, path, file);
    this.#position = file.size;
  }

  position(): number {
    return this.#position;
  }

  write(...pieces: Uint8Array[]): Promise<void> {
    const start = this.#position;
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (!this.#failed) this.#position += length;
    const detail = `${this.path} @${start}+${length}`;
    const onFault = (): void => {
      this.#put(start, Buffer.concat(pieces).subarray(0, this.disk.random.below(length + 1)));
    };
    return this.#guarded({ kind: 'write', doing: 'write', detail, bytes: pieces, onFault }, () =>
      this.#put(start, Buffer.concat(pieces)),
    );
  }

  truncate(length: number): Promise<void> {
    if (!this.#failed) this.#position = length;
    const detail = `${this.path} to ${length}`;
    return this.#guarded({ kind: 'truncate', doing: 'truncate', detail }, () => this.file.truncate(length));
  }

  sync(): Promise<void> {
    const onFault = (): void => this.file.failSync(this.disk.random.chance(0.5));
    return this.#guarded({ kind: 'sync', doing: 'sync', onFault }, () => this.file.sync());
  }

  async #guarded(call: Omit<DiskCall, 'path' | 'changes'>, effect: () => void): Promise<void> {
    if (this.#failed) {
      const message = `cannot ${call.doing} ${this.path}: an earlier write or sync of it failed, so it must be given up`;
      throw new LowtideError('disk-failed', message);
    }
    try {
      await this.call({ ...call, changes: true }, effect);
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  /** Sector by sector, so that a disk that fills up keeps what did fit, as the real one does. */
  #put(start: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const room = this.file.sectorBytes - ((start + done) % this.file.sectorBytes);
      const piece = bytes.subarray(done, done + room);
      const growth = this.file.growth(start + done, piece.length);
      if (growth > this.disk.free) throw refusal('ENOSPC', this.path);
      this.file.write(start + done, piece);
      done += piece.length;
    }
  }
}
