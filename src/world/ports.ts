import type { ExtendedAttribute, Stat } from '../model/entries.ts';
import type { LowtideError } from '../model/errors.ts';
import type { Event, Problem, Progress } from '../model/events.ts';
import type { Limits } from '../model/limits.ts';
import type { ByteName, PathKey } from '../model/paths.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Native } from './system/native.ts';
import type { SystemCalls } from './system/system-calls.ts';
import type { RestoreTarget } from './target/ports.ts';

/**
 * Everything that is not computation. A World belongs to one incarnation of a node: after its crash no port answers
 * any more (calls stay pending for ever), so a dead incarnation cannot act.
 */
export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly files: Files;
  readonly databases: Databases;
  readonly work: Work;
  readonly monitor: Monitor;
  readonly limits: Limits;
  /** Absent where nothing can be run. */
  readonly commands?: Commands;
  /** Absent where nothing is known of it. */
  readonly strain?: Strain;
  /** The process's id, to tell people who holds a lock. A simulated one has none. */
  readonly pid?: number;
}

export interface Clock {
  now(): UnixMillis;
  /** Milliseconds from an arbitrary start; never goes back. The only clock for durations. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when `stop` aborts (without an error: look at `stop.aborted`). */
  sleep(ms: number, stop?: AbortSignal): Promise<void>;
  /** The machine's IANA time zone. */
  readonly zone: string;
}

export interface Random {
  bytes(length: number): Uint8Array;
}

/** When what was written or read will be read again; if `late`, a lot of it need not pass through the system's memory. */
export type Rereading = 'soon' | 'late';

/**
 * A node's own storage. Paths are absolute. What POSIX promises and no more: bytes and sizes are durable after
 * `sync` of the file, names after `syncDirectory` of the directory (`makeDirectory` does that itself). A failed sync
 * means that the data since the last good one is lost: give the file up and write it again elsewhere (promise P1).
 * Errors: LowtideError `disk-full` on ENOSPC and EDQUOT, `not-found`, else `disk-failed`, with the path.
 */
export interface Disk {
  /** Opens an existing file for ranged reads. @param again `soon` if left out */
  openRead(path: string, again?: Rereading): Promise<ReadableFile>;
  /** Makes a new file (mode 0600), which must not exist. @param again `soon` if left out */
  create(path: string, again?: Rereading): Promise<WritableFile>;
  /**
   * Memory for what is to be written to files that are not read soon. What begins in it and in the file at the same place of a
   * page (`src/world/disk/direct.ts#DISK_PAGE_BYTES`) is written without a copy.
   */
  memoryForWrites(length: number): Uint8Array;
  /** Opens an existing file to append to it or cut it. */
  openAppend(path: string): Promise<WritableFile>;
  /** Sorted by name. `not-found` if there is no such directory. */
  list(path: string): Promise<DiskName[]>;
  stat(path: string): Promise<{ readonly size: number; readonly kind: DiskName['kind'] } | null>;
  /** With its parents, mode 0700, each synced into its parent. Nothing happens if it exists. */
  makeDirectory(path: string): Promise<void>;
  /** Replaces `to` atomically. Durable only after `syncDirectory`. */
  rename(from: string, to: string): Promise<void>;
  /** A file or an empty directory. Nothing happens if it does not exist. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** An exclusive lock that dies with its process; null if somebody has it. Makes the file if need be. */
  lock(path: string): Promise<DiskLock | null>;
  space(path: string): Promise<{ readonly free: number; readonly total: number }>;
}

export interface DiskName {
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'other';
}

export interface ReadableFile {
  size(): Promise<number>;
  /** Up to `length` bytes from `position`; fewer only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface WritableFile {
  /** Appends all of them. The caller must not touch the arrays before this resolves. */
  write(...pieces: Uint8Array[]): Promise<void>;
  /** Where the next write goes. */
  position(): number;
  truncate(length: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface DiskLock {
  release(): Promise<void>;
}

/** The user's file system: what is backed up and where a restore goes. Names are bytes; no link is ever followed. */
export interface Files {
  /**
   * Everything in one directory with its lstat, sorted by name in bytes. What vanished meanwhile is left out; what
   * cannot be looked at is a problem, and so is a mount whose server does not answer in time. Opened with O_NOFOLLOW | O_DIRECTORY relative to a checked parent.
   * Errors (LowtideError): `not-found`, `source-unreadable`.
   */
  scan(directory: PathKey): Promise<ScannedDirectory>;
  /**
   * The same of several directories at once, packed, if this World can: for each in turn its entries or why it has
   * none (`not-found`, `source-unreadable`). What is in a very large directory comes in parts, and after large ones
   * some may be missing at the end: ask for them again.
   */
  list?(directories: readonly PathKey[]): Promise<readonly (Listing | LowtideError | undefined)[]>;
  /** lstat of one path; null if there is nothing. */
  lstat(path: PathKey): Promise<ScannedEntry | null>;
  /** Opens a regular file (O_NOFOLLOW | O_NONBLOCK, checked by fstat to be one). Errors as `scan`. */
  openSource(path: PathKey): Promise<SourceFile>;
  /**
   * Extended attributes and inode flags of names in one directory, in the order of `entries` (of `/` itself: its one
   * entry without a name). What cannot be had is said in the answer; what is gone has none. Errors as `scan`.
   */
  attributes(
    directory: PathKey,
    entries: readonly Pick<ScannedEntry, 'name' | 'type'>[],
  ): Promise<readonly FoundAttributes[]>;
  readonly accounts: Accounts;
  /**
   * Reads many small files at once, without a promise a file, if this World can: for each path READ or READ_AND_BARE, or
   * 0 if its bytes are not in place or its stat was not exactly the one expected: `openSource` says why.
   */
  readSmall?(reads: SmallReads): Promise<Uint8Array>;
  /**
   * A directory to restore into, made with its parents if need be, and swept as in `makeDirectory`. Nothing is ever
   * done outside it.
   */
  openTarget(root: PathKey): Promise<RestoreTarget>;
}

export interface SmallReads {
  /** Those of one directory in succession are read faster. */
  readonly paths: readonly PathKey[];
  /** For each path in turn the stat that is expected: the beginning of a packed entry. */
  readonly heads: Uint8Array;
  /** Where its bytes go in `into`. */
  readonly places: Uint32Array;
  /** Shared memory. */
  readonly into: Uint8Array;
}

export interface ScannedDirectory {
  readonly entries: readonly ScannedEntry[];
  readonly problems: readonly { readonly name: ByteName; readonly code: string; readonly message: string }[];
}

/** The entries of one directory in the order of their names. */
export interface Listing {
  readonly first: PackedEntries;
  /** What comes after the part before; null at the end. Errors as `scan`. */
  next(): Promise<PackedEntries | null>;
}

/** ScannedEntries in one piece of memory: `src/world/source/packed-entries.ts` says how. */
export interface PackedEntries {
  readonly bytes: Uint8Array;
  /** Where each entry begins. */
  readonly starts: Uint32Array;
  readonly problems: ScannedDirectory['problems'];
  /** As in ScannedEntry, where there are any. */
  readonly virtual?: ReadonlyMap<ByteName, string>;
}

export interface ScannedEntry extends Stat {
  readonly name: ByteName;
  /** Of a symlink: its target as bytes, one character (0-255) a byte. */
  readonly target?: string;
  /** Type of the kernel's own file system that it is on (`proc`): there is nothing in it to keep. */
  readonly virtual?: string;
}

export interface FoundAttributes {
  readonly xattrs: readonly ExtendedAttribute[];
  /** Those of KEPT_FLAGS. */
  readonly flags: number;
  readonly refused: readonly AttributeRefusal[];
}

export interface AttributeRefusal {
  readonly what: 'extended attributes' | 'flags';
  readonly message: string;
}

/** Users and groups of this machine. Null: unknown. */
export interface Accounts {
  userName(uid: number): Promise<string | null>;
  groupName(gid: number): Promise<string | null>;
  userId(name: string): Promise<number | null>;
  groupId(name: string): Promise<number | null>;
}

export interface SourceFile {
  stat(): Promise<Stat>;
  /** Reads into `into` from `position` until it is full or the file ends; resolves to the number of bytes. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** The next run of data at or after `position`: [start, end), end = size if it reaches there; null if only a hole follows. */
  nextData(position: number): Promise<{ readonly start: number; readonly end: number } | null>;
  close(): Promise<void>;
}

/** SQL databases of one node, one file each. SQL never supplies the time. */
export interface Databases {
  open(path: string): Promise<SqlConnection>;
  /** For a second process beside the writer: reads what is committed, writes nothing. */
  openReadOnly(path: string): Promise<SqlConnection>;
}

export type SqlValue = null | number | bigint | string | Uint8Array;

/** SQLite's dialect. Committed means durable: after a crash the database is at the last commit that was answered or read from, or beyond. */
export interface SqlConnection {
  /**
   * One statement. LowtideErrors say what the disk did (`disk-full`, `disk-failed`, `locked`); what the statement did
   * wrong (a constraint, its syntax) comes as SQLite's own Error.
   */
  execute(sql: string, parameters: readonly SqlValue[]): Promise<SqlResult>;
  close(): Promise<void>;
}

export interface SqlResult {
  readonly rows: readonly Record<string, SqlValue>[];
  /** Rows changed; 0 for a query. */
  readonly changes: number;
  readonly lastInsertRowid: number;
}

/** A pure function that may run in a worker thread: it must be exported by `module` under `name`. */
export interface Task<Input, Output> {
  readonly module: string;
  readonly name: string;
  readonly run: (input: Input, kernels: Kernels) => Output | Promise<Output>;
}

/** Loops that are worth being compiled. Each thread has its own. */
export interface Kernels {
  readonly gear: GearKernel;
  /** Of real threads on machines that have them; loaded when first asked for. */
  readonly system?: () => SystemCalls | null;
  readonly native?: () => Native;
}

/** Finds where chunks may end (format F12, F13). Every kernel gives the same. */
export interface GearKernel {
  readonly name: 'plain' | 'compiled';
  /**
   * Candidates after each byte from `from` on, ascending: twice the position in `bytes`, plus 1 if strict. The bytes
   * before `from` (31 of them, or all) fill the window.
   * @param shifts h >>> strictShift is zero at a strict candidate, h >>> looseShift at any
   */
  find(
    bytes: Uint8Array,
    from: number,
    gear: Uint32Array,
    shifts: { readonly strictShift: number; readonly looseShift: number },
  ): number[];
}

export interface Work {
  /** How many tasks are worth having under way at once. */
  readonly lanes: number;
  /** There will be work soon: one more thread begins now, beside what the caller does. */
  prepare?(): void;
  /** So many bytes may come soon to be hashed: if a thread for that is worth it, it begins now. */
  prepareToHash?(bytes: number): void;
  /**
   * Runs the task, in any order among those under way. Input and output must survive structured clone; leave the
   * input as it is until the task answers.
   * @param transfer buffers that the caller gives up
   * @param stop gives the task up, and a thread that is at it: it rejects with LowtideError `interrupted`
   */
  run<Input, Output>(
    task: Task<Input, Output>,
    input: Input,
    transfer?: readonly ArrayBuffer[],
    stop?: AbortSignal,
  ): Promise<Output>;
  /**
   * SHA-256 of each of these, beside what the caller does if this World can. Their memory is given up, with all that
   * lies around them in it, and comes back in the answer. Errors: LowtideError `crashed`; then it is lost.
   */
  sha256(parts: readonly Uint8Array[]): Promise<readonly Hashed[]>;
}

export interface Hashed {
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
}

/** Programs of the machine: hooks of jobs, and commands whose output is backed up. */
export interface Commands {
  /** Waits for its end, whatever that is. Its output goes nowhere. */
  run(command: Command): Promise<CommandEnd>;
  /** The same, with its output kept in a file that has no name. Errors: LowtideError `disk-full`, `disk-failed`. */
  capture(command: Command, directory: string): Promise<CapturedOutput>;
}

/** How busy the machine is. Null: it does not tell. */
export interface Strain {
  /** Programs that run or wait for a disk, on average of the last minute, for each processor. */
  load(): Promise<number | null>;
  /** Part of the last ten seconds in which something waited for a disk, 0 to 1. */
  disk(): Promise<number | null>;
}

export interface Command {
  /** The program and its arguments, without any shell. */
  readonly words: readonly string[];
  /** Beside the process's own. */
  readonly environment: Readonly<Record<string, string>>;
  /** Then it is ended. Null: never. */
  readonly timeoutMs: number | null;
  /** Ends it too. */
  readonly stop: AbortSignal;
}

export interface CommandEnd {
  /** It ended by itself with status 0. */
  readonly ok: boolean;
  /** Its status; null if it did not end by itself. */
  readonly status: number | null;
  /** How it ended if not: `it ended with status 3`. */
  readonly how: string;
  /** The end of what it wrote to its error output. */
  readonly said: string;
}

export interface CapturedOutput {
  readonly end: CommandEnd;
  /** Of the file with the output. */
  readonly stat: Stat;
  open(): SourceFile;
  /** Frees its disk space, once what was opened is closed. */
  close(): void;
}

export interface Monitor {
  event(event: Event): void;
  problem(problem: Problem): void;
  progress(progress: Progress): void;
}
