import { bufferOf } from '../model/bytes.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { displayPath, joinPath, PATH_BYTES_MAX, type PathKey } from '../model/paths.ts';
import type { Files, ScannedDirectory, ScannedEntry } from '../world/ports.ts';
import { later } from './ahead.ts';
import { type Excludes, matchableName } from './excludes.ts';
import type { FoundProblem } from './problems.ts';
import type { Root } from './roots.ts';

export type Walked = WalkedEntry | ({ readonly kind: 'problem' } & FoundProblem);

export interface WalkedEntry {
  readonly kind: 'entry';
  readonly path: PathKey;
  readonly stat: ScannedEntry;
}

export interface WalkOptions {
  readonly excludes: Excludes;
  /** A directory below a root whose CACHEDIR.TAG has the signature is kept empty. */
  readonly excludeCaches: boolean;
  /**
   * A directory below a root that is on another file system than the root is kept empty. Only directories count:
   * overlay file systems give files another st_dev than their directory.
   */
  readonly oneFileSystem: boolean;
  /** A directory that is kept empty: the depot that the backup goes into. */
  readonly leftOut: PathKey;
  /** Whether the base has anything but directories under a root: then the root cannot be empty or unreadable. */
  readonly expectsFiles: (root: PathKey) => Promise<boolean>;
}

/** One open directory. */
interface Frame {
  readonly path: PathKey;
  /** As patterns see it, relative to the root, with a slash at its end; '' for the root. */
  readonly relative: string;
  readonly entries: readonly ScannedEntry[];
  next: number;
}

const BATCH = 512;
const CACHE_TAG = 'CACHEDIR.TAG';
const CACHE_SIGNATURE = 'Signature: 8a477f597d28d172789f06886806bc55';

/**
 * Everything under the roots in tree order: a directory, then its content, then its next sibling. Holds one listing a
 * level. Nothing is opened but directories and files named CACHEDIR.TAG.
 */
export async function* walk(
  files: Files,
  roots: readonly Root[],
  options: WalkOptions,
): AsyncGenerator<Walked[]> {
  for (const root of roots) {
    yield [{ kind: 'entry', path: root.path, stat: root.stat }];
    if (root.stat.type === 'directory') yield* new RootWalk(files, root, options, roots.length === 1).run();
  }
}

class RootWalk {
  readonly #files: Files;
  readonly #root: Root;
  readonly #options: WalkOptions;
  readonly #alone: boolean;
  #batch: Walked[] = [];

  constructor(files: Files, root: Root, options: WalkOptions, alone: boolean) {
    this.#files = files;
    this.#root = root;
    this.#options = options;
    this.#alone = alone;
  }

  async *run(): AsyncGenerator<Walked[]> {
    const stack = [this.#frame(this.#root.path, '', await this.#scanRoot())];
    for (;;) {
      const frame = stack.at(-1);
      if (frame === undefined) break;
      const directory = this.#takeUntilDirectory(frame);
      if (directory === null) {
        if (frame.next >= frame.entries.length) stack.pop();
        if (this.#batch.length >= BATCH) yield this.#takeBatch();
        continue;
      }
      const path = joinPath(frame.path, directory.name);
      // It is listed while the reader is busy with what comes before it.
      const listing = later(this.#scan(path));
      if (this.#batch.length > 0) yield this.#takeBatch();
      const relative = this.#options.excludes.any ? `${frame.relative}${matchableName(directory.name)}/` : '';
      stack.push(this.#frame(path, relative, await listing));
    }
    if (this.#batch.length > 0) yield this.#takeBatch();
  }

  /** Takes entries up to the next directory to go into (included), or up to a full batch. */
  #takeUntilDirectory(frame: Frame): ScannedEntry | null {
    while (frame.next < frame.entries.length && this.#batch.length < BATCH) {
      const entry = frame.entries[frame.next++]!;
      if (this.#isExcluded(frame, entry)) continue;
      const path = joinPath(frame.path, entry.name);
      if (path.length > PATH_BYTES_MAX) {
        this.#batch.push({ kind: 'problem', ...tooDeep(frame.path) });
        continue;
      }
      this.#batch.push({ kind: 'entry', path, stat: entry });
      if (entry.type === 'directory' && this.#goesInto(path, entry)) return entry;
    }
    return null;
  }

  #goesInto(path: PathKey, { device, virtual }: ScannedEntry): boolean {
    if (virtual !== undefined) {
      this.#batch.push({ kind: 'problem', ...kernelsOwn(path, virtual) });
      return false;
    }
    const { oneFileSystem, leftOut } = this.#options;
    return path !== leftOut && !(oneFileSystem && device !== this.#root.stat.device);
  }

  #isExcluded(frame: Frame, entry: ScannedEntry): boolean {
    const { excludes } = this.#options;
    if (!excludes.any) return false;
    return excludes.excludes(frame.relative + matchableName(entry.name), entry.type === 'directory');
  }

  #frame(path: PathKey, relative: string, { entries, problems }: ScannedDirectory): Frame {
    for (const { name, code, message } of problems) {
      this.#batch.push({ kind: 'problem', path: joinPath(path, name), code, message, severity: 'error' });
    }
    return { path, relative, entries, next: 0 };
  }

  #takeBatch(): Walked[] {
    const batch = this.#batch;
    this.#batch = [];
    return batch;
  }

  async #scanRoot(): Promise<ScannedDirectory> {
    const { path } = this.#root;
    try {
      const scanned = await this.#files.scan(path);
      const empty = scanned.entries.length === 0 && scanned.problems.length === 0;
      if (empty && (await this.#options.expectsFiles(path))) throw emptyError(path);
      return scanned;
    } catch (error) {
      // A snapshot without all that was under a root must not pass for a good one.
      if (!isLowtideError(error, 'not-found', 'source-unreadable')) throw error;
      if (this.#alone || (await this.#options.expectsFiles(path))) throw error;
      return this.#failed(path, error);
    }
  }

  async #scan(path: PathKey): Promise<ScannedDirectory> {
    try {
      const scanned = await this.#files.scan(path);
      const isCache = this.#options.excludeCaches && (await this.#isTagged(path, scanned));
      return isCache ? { entries: [], problems: [] } : scanned;
    } catch (error) {
      if (!isLowtideError(error, 'not-found', 'source-unreadable')) throw error;
      return this.#failed(path, error);
    }
  }

  /** An empty listing; the problem goes into the batch that is open when the listing is used. */
  #failed(path: PathKey, error: LowtideError): ScannedDirectory {
    const gone = error.code === 'not-found';
    const code = gone ? 'vanished' : error.code;
    this.#batch.push({
      kind: 'problem',
      path,
      code,
      message: error.message,
      severity: gone ? 'note' : 'error',
    });
    return { entries: [], problems: [] };
  }

  async #isTagged(directory: PathKey, { entries }: ScannedDirectory): Promise<boolean> {
    const tag = entries.find(({ name, type }) => (name as string) === CACHE_TAG && type === 'file');
    if (tag === undefined) return false;
    try {
      const file = await this.#files.openSource(joinPath(directory, tag.name));
      try {
        const head = new Uint8Array(CACHE_SIGNATURE.length);
        const length = await file.read(head, 0);
        return length === head.length && bufferOf(head).toString('latin1') === CACHE_SIGNATURE;
      } finally {
        await file.close();
      }
    } catch (error) {
      if (!isLowtideError(error, 'not-found', 'source-unreadable')) throw error;
      return false;
    }
  }
}

/** A directory that is kept empty. */
function kernelsOwn(path: PathKey, type: string): FoundProblem {
  const message = `${displayPath(path)} (${type}) is the kernel's own and has no files to keep`;
  return { path, code: 'not-given', message, severity: 'note', gathered: 'the content' };
}

/** What cannot be kept: the directory says where. */
function tooDeep(directory: PathKey): FoundProblem {
  const message = 'something in this directory has a path above 32,767 bytes, which no snapshot can hold';
  return { path: directory, code: 'bad-path', message, severity: 'error' };
}

function emptyError(path: PathKey): LowtideError {
  return new LowtideError(
    'source-empty',
    `${displayPath(path)} is empty and was not at the last backup: nothing was backed up; connect its disk, or ` +
      'take it out of the job',
  );
}
