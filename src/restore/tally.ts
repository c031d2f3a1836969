import type { LowtideError } from '../model/errors.ts';
import type { Problem } from '../model/events.ts';
import { displayPath, type PathKey } from '../model/paths.ts';
import type { Monitor } from '../world/ports.ts';
import type { RestoreReport, SourceUsage } from './restore-plan.ts';

/** Of problems and of notes: what a report keeps of them. The monitor gets all. */
const KEPT_MAX = 1000;

export interface ProgressTotals {
  readonly filesTotal?: number;
  readonly bytesTotal?: number;
}

/** Counts what a restore does and collects what it has to say. */
export class Tally {
  readonly #monitor: Monitor;
  readonly #totals: ProgressTotals;
  readonly #problems: Problem[] = [];
  readonly #notes: Problem[] = [];
  readonly #summaries: Problem[] = [];
  #problemCount = 0;
  #noteCount = 0;
  #filesSeen = 0;
  #bytesSeen = 0;
  files = 0;
  links = 0;
  directories = 0;
  others = 0;
  bytes = 0;
  skipped = 0;

  constructor(monitor: Monitor, totals: ProgressTotals) {
    this.#monitor = monitor;
    this.#totals = totals;
  }

  /** Something that was asked for is not restored. */
  problem(path: PathKey, { code, message }: Pick<LowtideError, 'code' | 'message'>): void {
    this.#problemCount++;
    this.#tell(this.#problems, { path: displayPath(path), code, message, severity: 'error' });
  }

  /** Nothing is lost, only worth telling. */
  note(path: PathKey, code: string, message: string): void {
    this.#noteCount++;
    this.#tell(this.#notes, { path: displayPath(path), code, message, severity: 'note' });
  }

  /** The name is taken, and what has it stays. */
  skip(path: PathKey): void {
    this.skipped++;
    this.note(path, 'target-exists', 'it is there already and stays as it is');
  }

  /** A note about the whole restore: kept whatever the number of others, and first. */
  summary(path: PathKey, code: string, message: string): void {
    this.#noteCount++;
    const note: Problem = { path: displayPath(path), code, message, severity: 'note' };
    this.#summaries.push(note);
    this.#monitor.problem(note);
  }

  /** A file of this size is dealt with, whatever became of it. */
  seen(bytes: number): void {
    this.#filesSeen++;
    this.#bytesSeen += bytes;
  }

  progress(): void {
    const { files, bytes } = { files: this.#filesSeen, bytes: this.#bytesSeen };
    this.#monitor.progress({ doing: 'restore', files, bytes, ...this.#totals });
  }

  report(bySource: readonly SourceUsage[]): RestoreReport {
    const { files, links, directories, others, bytes, skipped } = this;
    return {
      files,
      links,
      directories,
      others,
      bytes,
      skipped,
      bySource,
      problems: this.#problems,
      problemCount: this.#problemCount,
      notes: [...this.#summaries, ...this.#notes],
      noteCount: this.#noteCount,
      complete: this.#problemCount === 0,
    };
  }

  #tell(list: Problem[], problem: Problem): void {
    if (list.length < KEPT_MAX) list.push(problem);
    this.#monitor.problem(problem);
  }
}
