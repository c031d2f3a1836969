import { bufferOf } from '../../model/bytes.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import { type ByteName, displayPath, joinPath, PATH_BYTES_MAX, type PathKey } from '../../model/paths.ts';
import { EntryReader, packEntries } from '../../world/source/packed-entries.ts';
import type { Files, Listing, PackedEntries, ScannedEntry } from '../../world/ports.ts';
import { later } from '../ahead.ts';
import { type Excludes, matchableName } from './excludes.ts';
import { ListsAhead } from './lists-ahead.ts';
import type { FoundProblem } from '../problems.ts';
import type { Root } from './roots.ts';

export type Walked = WalkedEntry | WalkedSpan | ({ readonly kind: 'problem' } & FoundProblem);

export interface WalkedEntry {
  readonly kind: 'entry';
  readonly path: PathKey;
  readonly stat: ScannedEntry;
}

/** Names of one directory that follow each other: those from `from` to `to`. */
export interface WalkedSpan {
  readonly kind: 'span';
  readonly directory: PathKey;
  readonly entries: EntryReader;
  readonly from: number;
  readonly to: number;
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
  readonly listing: Listing;
  /** The part of it that the walk is in, and the one behind it. */
  entries: EntryReader;
  more: Promise<PackedEntries | null>;
  next: number;
  /** Directories before this one have been asked for. */
  askedTo: number;
}

const BATCH = 512;
const EMPTY: Listing = { first: packEntries([], []), next: async () => null };
/** In a directory with no longer path, nothing has one that is too long. */
const PATH_BYTES_SURE = PATH_BYTES_MAX - 256;
const CACHE_TAG = 'CACHEDIR.TAG' as ByteName;
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
  readonly #lists: ListsAhead;
  #batch: Walked[] = [];
  /** Names in the batch. */
  #names = 0;

  constructor(files: Files, root: Root, options: WalkOptions, alone: boolean) {
    this.#files = files;
    this.#root = root;
    this.#options = options;
    this.#alone = alone;
    this.#lists = new ListsAhead(files);
  }

  async *run(): AsyncGenerator<Walked[]> {
    const stack = [this.#frame(this.#root.path, '', await this.#listRoot())];
    for (;;) {
      const frame = stack.at(-1);
      if (frame === undefined) break;
      const name = this.#takeUntilDirectory(frame);
      if (name !== null) {
        const path = joinPath(frame.path, name);
        // It is listed while the reader is busy with what comes before it.
        const coming = this.#list(frame, path);
        if (this.#names >= BATCH) yield this.#takeBatch();
        const relative = this.#options.excludes.any ? `${frame.relative}${matchableName(name)}/` : '';
        stack.push(this.#frame(path, relative, await this.#listed(path, await coming)));
        continue;
      }
      if (this.#names >= BATCH) yield this.#takeBatch();
      if (frame.next >= frame.entries.count && !(await this.#turn(frame))) stack.pop();
    }
    if (this.#batch.length > 0) yield this.#takeBatch();
  }

  /** Takes entries up to the next directory to go into (included), or up to a full batch. */
  #takeUntilDirectory(frame: Frame): ByteName | null {
    const { entries } = frame;
    const end = Math.min(entries.count, frame.next + BATCH - this.#names);
    for (let number = frame.next; number < end; number++) {
      if (this.#isLeftOut(frame, number)) {
        this.#takeSpan(frame, number);
        frame.next++;
        if (isTooDeep(frame, number)) this.#batch.push({ kind: 'problem', ...tooDeep(frame.path) });
      } else if (entries.isDirectoryAt(number)) {
        this.#takeSpan(frame, number + 1);
        if (this.#goesInto(frame, number)) return entries.nameAt(number);
        const type = entries.virtualAt(number);
        const path = joinPath(frame.path, entries.nameAt(number));
        if (type !== null) this.#batch.push({ kind: 'problem', ...kernelsOwn(path, type) });
      }
    }
    this.#takeSpan(frame, end);
    return null;
  }

  #takeSpan(frame: Frame, to: number): void {
    const { path, entries, next } = frame;
    frame.next = to;
    if (next === to) return;
    this.#batch.push({ kind: 'span', directory: path, entries, from: next, to });
    this.#names += to - next;
  }

  #isLeftOut(frame: Frame, number: number): boolean {
    const { excludes } = this.#options;
    if (frame.path.length > PATH_BYTES_SURE && isTooDeep(frame, number)) return true;
    if (!excludes.any) return false;
    const { entries, relative } = frame;
    const name = relative + matchableName(entries.nameAt(number));
    return excludes.excludes(name, entries.isDirectoryAt(number));
  }

  #goesInto({ path, entries }: Frame, number: number): boolean {
    const { oneFileSystem, leftOut } = this.#options;
    if (entries.virtualAt(number) !== null) return false;
    if (oneFileSystem && entries.deviceAt(number) !== this.#root.stat.device) return false;
    return !leftOut.startsWith(path) || joinPath(path, entries.nameAt(number)) !== leftOut;
  }

  /** Also begins to list the directories that come after it. */
  #list(frame: Frame, path: PathKey): Promise<Listing | LowtideError> {
    if (!this.#lists.has(path)) frame.askedTo = frame.next - 1;
    if (this.#lists.wantsMore(frame.path)) this.#lists.ask(frame.path, this.#directoriesAfter(frame));
    return this.#lists.take(frame.path, path);
  }

  #directoriesAfter(frame: Frame): PathKey[] {
    const { entries, path } = frame;
    const found: PathKey[] = [];
    for (; frame.askedTo < entries.count && found.length < this.#lists.room; frame.askedTo++) {
      const at = frame.askedTo;
      if (entries.isDirectoryAt(at) && !this.#isLeftOut(frame, at) && this.#goesInto(frame, at))
        found.push(joinPath(path, entries.nameAt(at)));
    }
    return found;
  }

  #frame(path: PathKey, relative: string, listing: Listing): Frame {
    this.#tell(path, listing.first);
    const more = later(listing.next());
    return { path, relative, listing, more, entries: new EntryReader(listing.first), next: 0, askedTo: 0 };
  }

  /** Goes on to the next part of a large directory. False if there is none. */
  async #turn(frame: Frame): Promise<boolean> {
    const part = await this.#nextPart(frame);
    if (part === null) return false;
    this.#tell(frame.path, part);
    frame.more = later(frame.listing.next());
    frame.entries = new EntryReader(part);
    frame.next = 0;
    frame.askedTo = 0;
    return true;
  }

  async #nextPart(frame: Frame): Promise<PackedEntries | null> {
    try {
      return await frame.more;
    } catch (error) {
      if (!isLowtideError(error, 'not-found', 'source-unreadable')) throw error;
      this.#failed(frame.path, error);
      return null;
    }
  }

  #tell(path: PathKey, { problems }: PackedEntries): void {
    for (const { name, code, message } of problems) {
      this.#batch.push({ kind: 'problem', path: joinPath(path, name), code, message, severity: 'error' });
    }
  }

  #takeBatch(): Walked[] {
    const batch = this.#batch;
    this.#batch = [];
    this.#names = 0;
    return batch;
  }

  async #listRoot(): Promise<Listing> {
    const { path } = this.#root;
    const listing = await this.#lists.take(path, path);
    if ('code' in listing) {
      // A snapshot without all that was under a root must not pass for a good one.
      if (this.#alone || (await this.#options.expectsFiles(path))) throw listing;
      return this.#failed(path, listing);
    }
    const empty = listing.first.starts.length === 0 && listing.first.problems.length === 0;
    if (empty && (await this.#options.expectsFiles(path))) throw emptyError(path);
    return listing;
  }

  async #listed(path: PathKey, listing: Listing | LowtideError): Promise<Listing> {
    if ('code' in listing) return this.#failed(path, listing);
    return this.#options.excludeCaches && (await this.#isTagged(path, listing)) ? EMPTY : listing;
  }

  /** An empty listing, and why it is one. */
  #failed(path: PathKey, error: LowtideError): Listing {
    const gone = error.code === 'not-found';
    const code = gone ? 'vanished' : error.code;
    this.#batch.push({
      kind: 'problem',
      path,
      code,
      message: error.message,
      severity: gone ? 'note' : 'error',
    });
    return EMPTY;
  }

  async #isTagged(directory: PathKey, { first }: Listing): Promise<boolean> {
    if (!mayHave(new EntryReader(first), CACHE_TAG)) return false;
    try {
      const file = await this.#files.openSource(joinPath(directory, CACHE_TAG));
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

/** Whether a name is among them, or may be in a later part. */
function mayHave(entries: EntryReader, name: ByteName): boolean {
  let [from, to] = [0, entries.count];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (entries.nameAt(middle) < name) from = middle + 1;
    else to = middle;
  }
  return entries.count > 0 && (from === entries.count || entries.nameAt(from) === name);
}

const isTooDeep = ({ path, entries }: Frame, number: number): boolean =>
  path.length > PATH_BYTES_SURE && joinPath(path, entries.nameAt(number)).length > PATH_BYTES_MAX;

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
