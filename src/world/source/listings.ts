import { LowtideError } from '../../model/errors.ts';
import type { ByteName, PathKey } from '../../model/paths.ts';
import {
  joined,
  type Listed,
  type ListedPart,
  listTask,
  lookTask,
  splitNames,
  WINDOW_NAMES,
} from './list-names.ts';
import type { Listing, PackedEntries, Work } from '../ports.ts';

/** Of one directory, so that all threads look at a large one. */
const PARTS_AHEAD = 3;

/** Files.list, in a thread of `work`: of the first of them, at least of one. */
export async function listIn(
  work: Work,
  directories: readonly PathKey[],
  stop?: AbortSignal,
): Promise<readonly (Listing | LowtideError)[]> {
  const parts = await work.run(listTask, { joinedPaths: joined(directories), after: null }, [], stop);
  return parts.map((part, at) =>
    'packed' in part
      ? new PartedListing(work, directories[at]!, part)
      : new LowtideError(part.code, part.message),
  );
}

/** One directory; of a large one, names that were not looked at yet wait here, and some parts of them are ahead. */
class PartedListing implements Listing {
  readonly first: PackedEntries;
  readonly #work: Work;
  readonly #path: PathKey;
  #rest: string;
  #last: ByteName | null;
  readonly #ahead: Promise<PackedEntries>[] = [];

  constructor(work: Work, path: PathKey, { packed, rest, last }: Listed) {
    this.first = packed;
    this.#work = work;
    this.#path = path;
    this.#rest = rest;
    this.#last = last;
  }

  async next(): Promise<PackedEntries | null> {
    this.#lookAhead();
    const coming = this.#ahead.shift();
    if (coming === undefined) return null;
    const found = await coming;
    this.#lookAhead();
    return found;
  }

  #lookAhead(): void {
    while (this.#ahead.length < PARTS_AHEAD && this.#rest !== '') {
      const { some, rest } = splitNames(this.#rest, WINDOW_NAMES);
      this.#rest = rest;
      this.#take(this.#lookAt(some));
    }
    if (this.#ahead.length > 0 || this.#last === null) return;
    this.#take(this.#readOn(this.#last));
    this.#last = null;
  }

  /** Whoever takes it is told if it fails. */
  #take(part: Promise<PackedEntries>): void {
    part.catch(() => undefined);
    this.#ahead.push(part);
  }

  async #lookAt(joinedNames: string): Promise<PackedEntries> {
    return partOf(await this.#work.run(lookTask, { path: this.#path, joinedNames })).packed;
  }

  /** Reads the directory once more, for what comes after the names that were in memory. */
  async #readOn(after: ByteName): Promise<PackedEntries> {
    const [found] = await this.#work.run(listTask, { joinedPaths: this.#path, after });
    const { packed, rest, last } = partOf(found!);
    this.#rest = rest;
    this.#last = last;
    return packed;
  }
}

function partOf(part: ListedPart): Listed {
  if ('packed' in part) return part;
  throw new LowtideError(part.code, part.message);
}
