import type { Problem } from '../model/events.ts';
import { displayPath, type PathKey } from '../model/paths.ts';
import type { Monitor } from '../world/ports.ts';

const KEPT = 1000;
/** What CBOR adds to a problem's texts, at most. */
const FRAME_BYTES = 32;

export interface FoundProblem {
  readonly path: PathKey;
  /**
   * From the error registry, or `vanished` (gone between the listing and the opening), `changed-while-read` or
   * `not-given` (something beside the content could not be had), which are notes.
   */
  readonly code: string;
  readonly message: string;
  readonly severity: Problem['severity'];
  /** Set of notes of which there may be many alike: one line tells of all (`Problems.missing`). */
  readonly gathered?: string;
}

/** What could not be backed up as it should: told at once, counted, and the first kept. */
export class Problems {
  readonly #monitor: Monitor;
  readonly #first: FoundProblem[] = [];
  readonly #missing = new Map<string, { count: number; path: PathKey; message: string }>();
  readonly #gaps: FoundProblem[] = [];
  /** Those that cost an entry; notes are not counted. */
  errors = 0;

  constructor(monitor: Monitor) {
    this.#monitor = monitor;
  }

  add(found: FoundProblem): void {
    if (found.gathered !== undefined) return this.missing(found.gathered, found.path, found.message);
    if (found.severity === 'error') this.errors++;
    if (this.#first.length < KEPT) this.#first.push(found);
    this.#monitor.problem(shown(found));
  }

  /**
   * Something beside the content that the source does not give: one line a kind, with a count, once `finish` is called.
   * Some of it is found ahead of the rest: whatever the order, the first path of the tree is named.
   */
  missing(what: string, path: PathKey, message: string): void {
    const known = this.#missing.get(what);
    if (known === undefined) this.#missing.set(what, { count: 1, path, message });
    else {
      known.count++;
      if (path < known.path) Object.assign(known, { path, message });
    }
  }

  /** Tells what was missing. The snapshot keeps these lines too. */
  finish(): void {
    const kinds = [...this.#missing].toSorted(([a], [b]) => (a < b ? -1 : 1));
    for (const [what, { count, path, message }] of kinds) {
      const names = count === 1 ? 'one name' : `${count} names, this one first`;
      const found = { path, code: 'not-given', message: `${what} of ${names}: ${message}` };
      this.#gaps.push({ ...found, severity: 'note' });
      this.#monitor.problem(shown(this.#gaps.at(-1)!));
    }
    this.#missing.clear();
  }

  get first(): Problem[] {
    return [...this.#gaps, ...this.#first].map(shown);
  }

  /** What the source did not give and the first errors, for the manifest's sealed half: as many as fit into so many bytes. */
  errorsWithin(bytes: number): { path: PathKey; code: string; message: string }[] {
    const fitting: { path: PathKey; code: string; message: string }[] = [];
    let rest = bytes;
    for (const { path, code, message, severity } of [...this.#gaps, ...this.#first]) {
      if (severity !== 'error' && code !== 'not-given') continue;
      rest -= path.length + code.length + Buffer.byteLength(message) + FRAME_BYTES;
      if (rest < 0) break;
      fitting.push({ path, code, message });
    }
    return fitting;
  }
}

function shown({ path, code, message, severity }: FoundProblem): Problem {
  return { path: displayPath(path), code, message, severity };
}
