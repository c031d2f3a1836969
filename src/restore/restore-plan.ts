import type { BlockSource } from '../format/block-source.ts';
import type { KeyStore } from '../format/domain-keys.ts';
import type { SignedManifest } from '../format/manifest.ts';
import type { Problem } from '../model/events.ts';
import type { PathKey } from '../model/paths.ts';
import type { SourceCost } from './source-cost.ts';

/** A source with the name that people know it by: `spool`, `relay osaka`, `center tokyo`, `depot`. */
export interface NamedSource {
  readonly name: string;
  readonly source: BlockSource;
  /** What it has cost before, and goes on being measured with; nothing is known of it without. */
  readonly cost?: SourceCost;
}

export interface RestorePlan {
  /** The caller has checked its signature. */
  readonly signed: SignedManifest;
  readonly keys: KeyStore;
  /** Nearest first: each block comes from the first that gives it intact, unless another was measured to be much cheaper. */
  readonly sources: readonly NamedSource[];
  /** The directory that stands for `/`: what was `/a/b` becomes TARGET/a/b. */
  readonly target: PathKey;
  /** Empty: everything. A directory means all within it too. */
  readonly paths: readonly PathKey[];
  /** What to do with a name that is taken. Directories are merged either way, and never replaced. */
  readonly overwrite: 'always' | 'never';
  /**
   * By number, or by name where the name is known here. `none`: everything belongs to whoever restores, and no set-id
   * bit is set.
   */
  readonly owners: 'numbers' | 'names' | 'none';
}

/** What came from one source: whole sealed blocks, pages of the tree among them. */
export interface SourceUsage {
  readonly name: string;
  readonly bytes: number;
  readonly blocks: number;
}

export interface RestoreReport {
  /** Files that got their final name, hard links among them. */
  readonly files: number;
  /** Of `files`: names of a file that this restore (or one before it) wrote under another name. */
  readonly links: number;
  readonly directories: number;
  /** Symlinks, fifos and devices. */
  readonly others: number;
  /** Sum of the sizes of the files that were written, hard links not counted again. */
  readonly bytes: number;
  /** Names that were taken and left as they were. */
  readonly skipped: number;
  readonly bySource: readonly SourceUsage[];
  /** The first of the errors; `problemCount` says how many there were. Each went to the monitor. */
  readonly problems: readonly Problem[];
  readonly problemCount: number;
  /** What concerns the whole restore, then the first of the others. */
  readonly notes: readonly Problem[];
  readonly noteCount: number;
  /** Nothing that the plan asked for is missing: no problem, whatever the notes say. */
  readonly complete: boolean;
}
