import type { Entry, Extent } from '../model/entries.ts';
import type { UnixNanos } from '../model/time.ts';
import type { PathKey } from '../model/paths.ts';
import type { ScannedEntry } from '../world/ports.ts';
import type { BasePage } from './base/cursor.ts';
import type { Found } from './read/entry-of.ts';
import type { FoundFile } from './read/found-file.ts';
import type { FoundProblem } from './problems.ts';

/** What is to be done for the walk's next name, in walk order. */
export type Step =
  | ReadStep
  /** A file that is read in one piece, or empty. */
  | { readonly kind: 'found'; readonly file: FoundFile }
  /** Everything that has no content: it is all in its lstat. */
  | { readonly kind: 'entry'; readonly entry: Entry; readonly birth?: UnixNanos | undefined }
  /** A file of the base that is unchanged. Its extents are in the entry, or in `kept` steps before if there are many. */
  | { readonly kind: 'carry'; readonly entry: Entry; readonly birth?: UnixNanos | undefined }
  /** Entries of the base, files and others, that are as they were. */
  | { readonly kind: 'carried'; readonly run: CarriedRun }
  /** Extents of the file of the next `carry` or `read` step, from the base, from byte 0 on without a gap. */
  | { readonly kind: 'kept'; readonly extents: readonly Extent[] }
  | ({ readonly kind: 'problem' } & FoundProblem);

/** A file that is new, has changed, or was stored in part. */
export interface ReadStep extends Found {
  readonly kind: 'read';
  readonly stat: ScannedEntry;
  /** How many of its first bytes were in `kept` steps: they hold if the file still has this stat when it is opened. */
  readonly from: number;
  /** Set if the file has not changed, and is read only to be stored in another block: what holds if it cannot be. */
  readonly fallback: Entry | null;
}

/** Records of one page of the base, in a row. */
export interface CarriedRun {
  readonly page: BasePage;
  readonly from: number;
  readonly to: number;
  /** Paths of the first and the last of them. */
  readonly first: PathKey;
  readonly last: PathKey;
}
