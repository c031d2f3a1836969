import * as fs from 'node:fs';
import { promisify } from 'node:util';
import type { ByteName } from '../model/paths.ts';
import { errnoName, systemError } from './errno.ts';
import type { Native } from './native.ts';
import { inDirectory } from './paths-by-handle.ts';
import type { TargetFile } from './ports.ts';
import { removeQuietly, targetError, temporaryName } from './target-names.ts';

const FILE_MODE = 0o600;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;

const write = promisify(fs.write);
const truncate = promisify(fs.ftruncate);
const close = promisify(fs.close);

/**
 * A new file beside its final name.
 * @param directory a descriptor, which belongs to the file from now on
 * @param shown its final path, for people
 * @param named is called when it has its final name
 */
export function createTargetFile(
  directory: number,
  name: ByteName,
  shown: string,
  native: Native | null,
  named: () => void,
): TargetFile {
  const temporary = temporaryName();
  const flags = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY;
  const descriptor = fs.openSync(inDirectory(directory, temporary), flags, FILE_MODE);
  return new RealTargetFile({ directory, descriptor, temporary, name, shown, native, named });
}

interface Parts {
  readonly directory: number;
  readonly descriptor: number;
  readonly temporary: ByteName;
  readonly name: ByteName;
  readonly shown: string;
  readonly native: Native | null;
  readonly named: () => void;
}

class RealTargetFile implements TargetFile {
  readonly #parts: Parts;
  #open = true;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    try {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await write(
          this.#descriptor(),
          bytes,
          done,
          bytes.length - done,
          position + done,
        );
        done += bytesWritten;
      }
    } catch (error) {
      throw targetError(error, this.#parts.shown);
    }
  }

  /**
   * Without a sync, also when it replaces something: the backup still has the bytes, and the restore has not been
   * called done before RestoreTarget.sync.
   */
  async finish(size: number, replace: boolean): Promise<void> {
    const { directory, temporary, name, native, named, shown } = this.#parts;
    const from = inDirectory(directory, temporary);
    const to = inDirectory(directory, name);
    try {
      await truncate(this.#descriptor(), size);
      await this.#close(() => {
        if (replace) fs.renameSync(from, to);
        else renameToFree(from, to, native);
      });
      named();
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

  #descriptor(): number {
    if (!this.#open) throw systemError('EBADF', fs.constants.O_RDONLY, 'write');
    return this.#parts.descriptor;
  }

  /** Runs between closing the file, when all write errors are known, and closing its directory. */
  async #close(andThen: () => void): Promise<void> {
    this.#open = false;
    const { directory, descriptor, temporary } = this.#parts;
    try {
      await close(descriptor);
      andThen();
    } catch (error) {
      removeQuietly(inDirectory(directory, temporary));
      throw error;
    } finally {
      fs.closeSync(directory);
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
