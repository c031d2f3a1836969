import type { Problem } from '../model/events.ts';
import { displayPath, type PathKey } from '../model/paths.ts';
import type { Monitor } from '../world/ports.ts';

const KEPT = 1000;
/** What CBOR adds to a problem's texts, at most. */
const FRAME_BYTES = 32;

export interface FoundProblem {
  readonly path: PathKey;
  /**
   * From the error registry, or `vanished` (gone between the listing and the opening) or `changed-while-read`, which
   * are notes.
   */
  readonly code: string;
  readonly message: string;
  readonly severity: Problem['severity'];
}

/** What could not be backed up as it should: told at once, counted, and the first kept. */
export class Problems {
  readonly #monitor: Monitor;
  readonly #first: FoundProblem[] = [];
  /** Those that cost an entry; notes are not counted. */
  errors = 0;

  constructor(monitor: Monitor) {
    this.#monitor = monitor;
  }

  add(found: FoundProblem): void {
    if (found.severity === 'error') this.errors++;
    if (this.#first.length < KEPT) this.#first.push(found);
    this.#monitor.problem(shown(found));
  }

  get first(): Problem[] {
    return this.#first.map(shown);
  }

  /** The first errors for the manifest's sealed half, as many as fit into so many bytes. */
  errorsWithin(bytes: number): { path: PathKey; code: string; message: string }[] {
    const fitting: { path: PathKey; code: string; message: string }[] = [];
    let rest = bytes;
    for (const { path, code, message, severity } of this.#first) {
      if (severity !== 'error') continue;
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
