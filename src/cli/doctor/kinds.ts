import type { Entry } from '../../model/entries.ts';

/** One thing that a file system may have, and a backup may lose. */
export interface Kind {
  readonly group:
    | 'content'
    | 'names'
    | 'types'
    | 'links'
    | 'times'
    | 'modes'
    | 'owners'
    | 'attributes'
    | 'flags';
  readonly name: string;
  /** Makes it in a directory of its own. A system error says that it cannot be had here. */
  make(folder: string): void;
  /** What of it a restore must bring back, as text. Empty: it is not there. */
  look(folder: string): string;
  /** What `look` says if the file system has kept what was made; absent if it cannot do otherwise. */
  readonly expected?: string;
  /** Not restored, only recorded: what `look` says of the source, from the snapshot's entry of `it`. */
  readonly recorded?: (entry: Entry) => string;
  /** Said beside the result. */
  readonly remark?: string;
}

/** The name that most kinds give to what they make. */
export const IT = 'it';
