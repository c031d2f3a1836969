import * as fs from 'node:fs';
import { promisify } from 'node:util';
import type { ByteName } from '../../model/paths.ts';
import { errnoName, systemError } from '../system/errno.ts';
import type { Native } from '../system/native.ts';
import { inDirectory } from '../system/paths-by-handle.ts';
import type { Metadata, MetadataRefusal, TargetFile } from './ports.ts';
import { applyToFile } from './metadata.ts';
import { removeQuietly, targetError } from './names.ts';

const FILE_MODE = 0o600;
/** Closing may wait for a network's disk; for a few bytes that is not worth a thread. */
const SMALL_BYTES = 65_536;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;

const write = promisify(fs.write);
const truncate = promisify(fs.ftruncate);
const close = promisify(fs.close);

export interface NewFile {
  /** A descriptor that stays good until `closed`. */
  readonly directory: number;
  readonly temporary: ByteName;
  readonly name: ByteName;
  /** Its final path, for people. */
  readonly shown: string;
  readonly native: Native | null;
  /** It has its final name. */
  readonly named: () => void;
  /** The directory is not needed any more. */
  readonly closed: () => void;
}

/** A new file beside its final name. */
export function createTargetFile(file: NewFile): TargetFile {
  const flags = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY;
  const descriptor = fs.openSync(inDirectory(file.directory, file.temporary), flags, FILE_MODE);
  return new RealTargetFile({ ...file, descriptor });
}

interface Parts extends NewFile {
  readonly descriptor: number;
}

export class RealTargetFile implements TargetFile {
  readonly #parts: Parts;
  #open = true;
  /** The end of what has been written. */
  #size = 0;
  #failed: unknown;
  readonly #busy = new Set<Promise<void>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    if (!this.#open) throw new TypeError(`${this.#parts.shown} is finished`);
    this.#size = Math.max(this.#size, position + bytes.length);
    const writing = this.#writeAll(bytes, position);
    this.#busy.add(writing);
    try {
      await writing;
    } catch (error) {
      this.#failed ??= error;
      throw targetError(error, this.#parts.shown);
    } finally {
      this.#busy.delete(writing);
    }
  }

  /**
   * Without a sync, also when it replaces something: the backup still has the bytes, and the restore has not been
   * called done before RestoreTarget.sync.
   */
  async finish(
    size: number,
    replace: boolean,
    metadata: Metadata | null,
  ): Promise<readonly MetadataRefusal[]> {
    const { directory, descriptor, temporary, name, native, named, shown } = this.#parts;
    const from = inDirectory(directory, temporary);
    const to = inDirectory(directory, name);
    if (!this.#open) throw new TypeError(`${shown} is finished`);
    try {
      await Promise.all(this.#busy);
      if (this.#failed !== undefined) throw this.#failed;
      if (size !== this.#size) await truncate(descriptor, size);
      const refused = metadata === null ? [] : applyToFile(descriptor, native, shown, metadata);
      await this.#close(() => {
        if (replace) fs.renameSync(from, to);
        else renameToFree(from, to, native);
      });
      named();
      return refused;
    } catch (error) {
      await this.discard();
      throw targetError(error, shown);
    }
  }

  async discard(): Promise<void> {
    if (!this.#open) return;
    const temporary = inDirectory(this.#parts.directory, this.#parts.temporary);
    await this.#close(() => removeQuietly(temporary)).catch(() => {});
  }

  /**
   * For a write that somebody else does, in another thread: the file stays open until it is over.
   * @throws what an earlier write failed with
   */
  lend(position: number, length: number, over: Promise<void>): number {
    if (!this.#open) throw new TypeError(`${this.#parts.shown} is finished`);
    this.#size = Math.max(this.#size, position + length);
    const quiet = over.catch((error: unknown) => void (this.#failed ??= error));
    this.#busy.add(quiet);
    void quiet.then(() => this.#busy.delete(quiet));
    return this.#parts.descriptor;
  }

  get shown(): string {
    return this.#parts.shown;
  }

  async #writeAll(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const left = bytes.length - done;
      const { bytesWritten } = await write(this.#parts.descriptor, bytes, done, left, position + done);
      done += bytesWritten;
    }
  }

  /** Runs between closing the file, when all write errors are known, and giving its directory back. */
  async #close(andThen: () => void): Promise<void> {
    this.#open = false;
    const { directory, descriptor, temporary, closed } = this.#parts;
    // Closed under a write, the number could be another file's before the write is done.
    await Promise.allSettled(this.#busy);
    try {
      if (this.#size > SMALL_BYTES) await close(descriptor);
      else fs.closeSync(descriptor);
      andThen();
    } catch (error) {
      removeQuietly(inDirectory(directory, temporary));
      throw error;
    } finally {
      closed();
    }
  }
}

/** Fails with EEXIST if the name is taken. The second and third way are for file systems that lack the one before. */
export function renameToFree(from: Buffer, to: Buffer, native: Native | null): void {
  if (native?.renameNoReplace(from, to) === true) return;
  try {
    fs.linkSync(from, to);
  } catch (error) {
    if (!['EPERM', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP', 'EMLINK'].includes(errnoName(error))) throw error;
    if (fs.lstatSync(to, { throwIfNoEntry: false }) !== undefined) throw systemError('EEXIST', 17, 'rename');
    fs.renameSync(from, to);
    return;
  }
  fs.unlinkSync(from);
}
