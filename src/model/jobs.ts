import type { CenterId } from './ids.ts';

/**
 * One row of the backup control table (SEED 121): which files, when to take the backup, when it may travel.
 * `backup` and `transfer` are texts in the grammar of docs/scheduling.md, read in `zone`.
 */
export interface Job {
  readonly name: string;
  /** Absolute paths as people type them. */
  readonly paths: readonly string[];
  /** gitignore patterns, relative to each path. */
  readonly excludes: readonly string[];
  readonly excludeCaches: boolean;
  readonly oneFileSystem: boolean;
  /** When to take: `daily 22:00`, `Mon-Fri 18:30`, `every 6 h`, `manual`. */
  readonly backup: string;
  /** When it may travel: `00:00-03:00`, `Mon-Fri 22:00-06:00, Sat-Sun any`, `any`. */
  readonly transfer: string;
  /** IANA zone of both. */
  readonly zone: string;
  /** Centers that this job's snapshots are owed to; empty means every center that the agent has joined. */
  readonly centers: readonly CenterId[];
  readonly spool: SpoolMode;
  readonly freeAfter: FreeAfter;
  /** How old the newest copy at a center may get, in milliseconds: a wish. */
  readonly target?: number;
  /** Programs to run around each backup, and how long each may take (seconds). */
  readonly hooks?: JobHooks;
  /** Their outputs are backed up too: NAME as `/NAME`. */
  readonly commands?: readonly JobCommand[];
  /** Keeps the paths out of the manifest's clear labels. */
  readonly private: boolean;
}

export interface JobHooks {
  /** A program and its arguments. If it fails, nothing is taken. */
  readonly before?: readonly string[];
  /** In any case. */
  readonly after?: readonly string[];
  readonly timeout?: number;
}

export interface JobCommand {
  readonly name: string;
  readonly words: readonly string[];
}

/** `files`: a changed file is spooled whole. `difference`: only its new chunks. */
export type SpoolMode = 'files' | 'difference';
export type FreeAfter = 'centers' | 'custody';
