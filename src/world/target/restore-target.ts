import { constants, linkSync, mkdirSync, openSync, renameSync, symlinkSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { Entry } from '../../model/entries.ts';
import { LowtideError } from '../../model/errors.ts';
import {
  baseName,
  checkName,
  displayPath,
  parentPath,
  pathComponents,
  pathToBytes,
  ROOT_PATH,
  type ByteName,
  type PathKey,
} from '../../model/paths.ts';
import { errnoName } from '../system/errno.ts';
import { nativeOrNull, type Native } from '../system/native.ts';
import { inDirectory, O_PATH } from '../system/paths-by-handle.ts';
import type { ScannedEntry, Work } from '../ports.ts';
import {
  type ContentBatch,
  type ContentOutcome,
  type Metadata,
  type MetadataRefusal,
  type RestoreTarget,
  type TargetFile,
  UNFINISHED_MODE,
} from './ports.ts';
import { lookAt, lookAtDirectory } from '../system/stats.ts';
import { hasDefaultList } from './attributes.ts';
import { writeContent } from './content.ts';
import { TargetDirectories } from './directories.ts';
import { createTargetFile } from './file.ts';
import { applyMetadata, setFlags } from './metadata.ts';
import { removeQuietly, sweep, targetError, TemporaryNames } from './names.ts';
import { syncFileSystems } from './sync.ts';

const DIRECTORY_MODE = 0o700;

/** The root may be reached through links, as the user has named it; below it none is followed. */
export async function openRestoreTarget(
  root: PathKey,
  native: () => Native,
  work: Work,
): Promise<RestoreTarget> {
  for (const name of pathComponents(root)) checkName(name);
  const path = pathToBytes(root);
  try {
    await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
    const directories = new TargetDirectories(
      openSync(path, O_PATH | constants.O_DIRECTORY),
      root,
      (directory) => hasDefaultList(directory, nativeOrNull(native)),
    );
    const temporaries = new TemporaryNames();
    sweep(directories.open(ROOT_PATH), temporaries);
    return new RealRestoreTarget(directories, temporaries, native, work);
  } catch (error) {
    throw targetError(error, displayPath(root));
  }
}

class RealRestoreTarget implements RestoreTarget {
  readonly #directories: TargetDirectories;
  readonly #temporaries: TemporaryNames;
  readonly #native: () => Native;
  readonly #work: Work;

  constructor(directories: TargetDirectories, temporaries: TemporaryNames, native: () => Native, work: Work) {
    this.#work = work;
    this.#directories = directories;
    this.#temporaries = temporaries;
    this.#native = native;
  }

  async lstat(path: PathKey): Promise<ScannedEntry | null> {
    return this.#naming(path, () => {
      if (path === ROOT_PATH) return lookAtDirectory(this.#directories.open(ROOT_PATH));
      const parent = this.#directories.openIfThere(parentPath(path));
      return parent === null ? null : lookAt(parent, checkName(baseName(path)));
    });
  }

  async makeDirectory(path: PathKey): Promise<void> {
    this.#naming(path, () => {
      if (path === ROOT_PATH) return;
      const [parent, name] = this.#place(path);
      try {
        mkdirSync(inDirectory(parent, name), DIRECTORY_MODE);
      } catch (error) {
        if (lookAt(parent, name)?.type !== 'directory') throw error;
        sweep(this.#directories.open(path), this.#temporaries);
      }
    });
  }

  async createFile(path: PathKey): Promise<TargetFile> {
    return this.#naming(path, () => {
      const [, name] = this.#place(path);
      const directory = this.#directories.borrow(parentPath(path));
      const closed = (): void => this.#directories.giveBack(directory);
      try {
        return createTargetFile({
          directory,
          temporary: this.#temporaries.next(),
          name,
          shown: this.#shown(path),
          native: nativeOrNull(this.#native),
          named: () => this.#directories.forget(path),
          closed,
        });
      } catch (error) {
        closed();
        throw error;
      }
    });
  }

  async writeContent<Input>(batch: ContentBatch<Input>): Promise<ContentOutcome> {
    const [directories, temporaries, work] = [this.#directories, this.#temporaries, this.#work];
    return writeContent({ work, directories, temporaries, shown: (path) => this.#shown(path) }, batch);
  }

  isUnfinished({ type, mode, uid }: ScannedEntry): boolean {
    const me = process.geteuid!();
    // Root has given some to those whom they are for.
    return type === 'file' && mode === UNFINISHED_MODE && (me === 0 || uid === me);
  }

  async symlink(path: PathKey, target: string, replace: boolean): Promise<void> {
    const bytes = Buffer.from(target, 'latin1');
    this.#make(path, replace, (made) => symlinkSync(bytes, made));
  }

  async link(path: PathKey, existing: PathKey, replace: boolean): Promise<void> {
    const [from, name] = this.#naming(existing, () => {
      const found = this.#place(existing);
      if (lookAt(...found) === null)
        throw new LowtideError('not-found', `${this.#shown(existing)} does not exist`);
      // Borrowed, as the other directory that is opened next may push this one out.
      return [this.#directories.borrow(parentPath(existing)), found[1]] as const;
    });
    try {
      this.#make(path, replace, (made) => linkSync(inDirectory(from, name), made));
    } finally {
      this.#directories.giveBack(from);
    }
  }

  async fifo(path: PathKey, replace: boolean): Promise<void> {
    const native = this.#native();
    this.#make(path, replace, (made) => native.makeNode(made, constants.S_IFIFO | 0o600, 0, 0));
  }

  async device(path: PathKey, entry: Entry, replace: boolean): Promise<void> {
    const native = this.#native();
    const { major, minor } = entry.rdev ?? { major: 0, minor: 0 };
    const kind = entry.type === 'block-device' ? constants.S_IFBLK : constants.S_IFCHR;
    this.#make(path, replace, (made) => {
      try {
        native.makeNode(made, kind | 0o600, major, minor);
      } catch (error) {
        if (errnoName(error) !== 'EPERM') throw error;
        const message = `only root may make the device node ${this.#shown(path)}`;
        throw new LowtideError('forbidden', message, { cause: error });
      }
    });
  }

  async applyMetadata(path: PathKey, metadata: Metadata): Promise<readonly MetadataRefusal[]> {
    return applyMetadata(this.#directories, nativeOrNull(this.#native), path, this.#shown(path), metadata);
  }

  async setFlags(path: PathKey, flags: number): Promise<readonly MetadataRefusal[]> {
    return setFlags(this.#directories, nativeOrNull(this.#native), path, this.#shown(path), flags);
  }

  async sync(): Promise<void> {
    try {
      await syncFileSystems(this.#directories.fileSystems(), nativeOrNull(this.#native));
    } catch (error) {
      throw targetError(error, this.#shown(ROOT_PATH));
    }
  }

  async close(): Promise<void> {
    this.#directories.close();
  }

  /** Makes something under its name, or under a temporary one that then replaces what has the name. */
  #make(path: PathKey, replace: boolean, make: (path: Buffer) => void): void {
    this.#naming(path, () => {
      const [parent, name] = this.#place(path);
      if (!replace) {
        make(inDirectory(parent, name));
      } else {
        const temporary = inDirectory(parent, this.#temporaries.next());
        try {
          make(temporary);
          renameSync(temporary, inDirectory(parent, name));
        } finally {
          // Still there after an error, and after a rename to another name of the same inode, which does nothing.
          removeQuietly(temporary);
        }
      }
      this.#directories.forget(path);
    });
  }

  #place(path: PathKey): [parent: number, name: ByteName] {
    if (path === ROOT_PATH) throw new LowtideError('target-exists', `${this.#shown(path)} is a directory`);
    const name = checkName(baseName(path));
    return [this.#directories.open(parentPath(path)), name];
  }

  #naming<T>(path: PathKey, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw targetError(error, this.#shown(path));
    }
  }

  #shown(path: PathKey): string {
    return displayPath(this.#directories.whole(path));
  }
}
