import type { Entry, EntryType, ExtendedAttribute } from '../../model/entries.ts';
import type { LowtideError } from '../../model/errors.ts';
import type { PathKey } from '../../model/paths.ts';
import type { UnixNanos } from '../../model/time.ts';
import type { ScannedEntry, Task } from '../ports.ts';

/**
 * Paths are relative to the target's root. Parents must have been made (or be directories already): every component
 * is opened with O_NOFOLLOW, so a planted symlink gives LowtideError `target-exists`, never a write through it.
 */
export interface RestoreTarget {
  lstat(path: PathKey): Promise<ScannedEntry | null>;
  /**
   * Ok if it is a directory already; then what a killed restore of the same user left there under temporary names goes.
   * `target-exists` if something else has the name.
   */
  makeDirectory(path: PathKey): Promise<void>;
  /** A temporary file beside `path`; `finish` gives it its name. */
  createFile(path: PathKey): Promise<TargetFile>;
  /**
   * Opens content and writes it in one thread, so that no byte of a file crosses threads. What goes wrong with one file or
   * piece is answered, and the others are written. Nothing stays of a new file that fails.
   * Errors: LowtideError `crashed` if the thread dies.
   */
  writeContent<Input>(batch: ContentBatch<Input>): Promise<ContentOutcome>;
  /**
   * Whether a killed restore of the same user began this file and did not finish it: it has `UNFINISHED_MODE`, which a
   * new file in a fresh directory has under its own name until it is whole.
   */
  isUnfinished(entry: ScannedEntry): boolean;
  /** The next four: `target-exists` unless `replace`; then what is there (not a directory) is replaced atomically. */
  symlink(path: PathKey, target: string, replace: boolean): Promise<void>;
  /** A hard link to `existing`, another path of this target. */
  link(path: PathKey, existing: PathKey, replace: boolean): Promise<void>;
  fifo(path: PathKey, replace: boolean): Promise<void>;
  /** Needs root: else LowtideError `forbidden`. */
  device(path: PathKey, entry: Entry, replace: boolean): Promise<void>;
  /** Owner, attributes, times, mode (in this order). Answers what the target could not take; never throws for that. */
  applyMetadata(path: PathKey, metadata: Metadata): Promise<readonly MetadataRefusal[]>;
  /**
   * Inode flags of a file or directory, those of KEPT_FLAGS. Last of all: who is immutable takes no other name, no
   * attribute and nothing into it. Answers as `applyMetadata`.
   */
  setFlags(path: PathKey, flags: number): Promise<readonly MetadataRefusal[]>;
  /** Makes finished files durable: called at the end and now and then. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface MetadataRefusal {
  readonly what: 'owner' | 'mode' | 'times' | 'extended attributes' | 'flags';
  readonly message: string;
}

/** What a restored name is to have beside its content. An Entry is one. */
export interface Metadata {
  /** Something of another type gets none of it. */
  readonly type: EntryType;
  readonly mode: number;
  /** Null: it stays with whoever made it. */
  readonly uid: number | null;
  readonly gid: number | null;
  readonly mtime: UnixNanos;
  /** All that it is to have: an access control list that its directory gave it goes. Unknown if absent. */
  readonly xattrs?: readonly ExtendedAttribute[];
}

export interface TargetFile {
  /** Writes at any position; what is never written stays a hole. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /**
   * Sets the size (for holes at the end), then the metadata, then gives the file its final name: so what has the name is
   * whole, whenever the process is killed. `target-exists` unless `replace`. Answers what the target could not take.
   * @param metadata null: private, and of now
   */
  finish(size: number, replace: boolean, metadata: Metadata | null): Promise<readonly MetadataRefusal[]>;
  /** Removes the temporary file. */
  discard(): Promise<void>;
}

/** The bytes of one piece of a file, or why they cannot be had. */
export type Content = Uint8Array | LowtideError;

/** What `RestoreTarget.writeContent` opens and writes at once. */
export interface ContentBatch<Input> {
  /** Gives the pieces of `files` in turn, then `pieces`; their memory is freed when they are written. */
  readonly content: Task<Input, readonly Content[]>;
  readonly input: Input;
  /** Buffers of the input that the caller gives up. */
  readonly transfer: readonly ArrayBuffer[];
  readonly files: readonly NewFile[];
  readonly pieces: readonly FilePiece[];
}

/** A whole file, which gets its name, metadata included, in the same call. */
export interface NewFile {
  readonly path: PathKey;
  readonly size: number;
  /** Where each of its pieces goes: what none of them covers is a hole. */
  readonly positions: readonly number[];
  /** As in `TargetFile.finish`. */
  readonly replace: boolean;
  /** In a directory that this target made, where nobody else has anything: then no temporary name is needed. */
  readonly fresh: boolean;
  readonly metadata: Metadata;
}

/** A part of a file that is under way. */
export interface FilePiece {
  readonly file: TargetFile;
  readonly position: number;
  readonly length: number;
}

/** By number; whoever is not named was written and took all of its metadata. */
export interface ContentOutcome {
  readonly files: ReadonlyMap<number, LowtideError | readonly MetadataRefusal[]>;
  readonly pieces: ReadonlyMap<number, LowtideError>;
}

/** Of a file that is not whole yet: with the sticky bit, which means nothing to a regular file. */
export const UNFINISHED_MODE = 0o1600;
