import type { PathKey } from '../../model/paths.ts';
import type { UnixNanos } from '../../model/time.ts';
import { EntryReader, packEntries } from '../../world/source/packed-entries.ts';
import type { ScannedEntry } from '../../world/ports.ts';
import type { ReadStep } from '../steps.ts';

/**
 * A regular file of one name that the base does not have, as the walk found it: nearly all files of a first backup are
 * such, so its stat stays bytes and goes into the tree as it is.
 */
export class FoundFile {
  readonly path: PathKey;
  readonly size: number;
  readonly entries: EntryReader;
  /** Among `entries`. */
  readonly number: number;
  /** Number of its st_dev among those of the walk. */
  readonly fileSystem: number;
  /** Its attributes (format F27), once they are known. */
  extra: Uint8Array | undefined = undefined;

  constructor(path: PathKey, entries: EntryReader, number: number, fileSystem: number) {
    this.path = path;
    this.size = entries.sizeAt(number);
    this.entries = entries;
    this.number = number;
    this.fileSystem = fileSystem;
  }

  get stat(): ScannedEntry {
    return this.entries.entryAt(this.number);
  }

  get birth(): UnixNanos | undefined {
    return this.entries.birthAt(this.number);
  }

  /** The same as an object, for what is not as usual. */
  step(): ReadStep {
    const { path, stat, fileSystem, extra } = this;
    const known = extra === undefined ? {} : { extra };
    return { kind: 'read', path, stat, fileSystem, ...known, from: 0, fallback: null };
  }
}

/** Of a file that was looked at as an object. */
export function foundFile({ path, stat, fileSystem, extra }: ReadStep): FoundFile {
  const file = new FoundFile(path, new EntryReader(packEntries([stat], [])), 0, fileSystem);
  file.extra = extra;
  return file;
}
