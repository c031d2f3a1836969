import ignore, { type Ignore } from 'ignore';

/** `ignore` remembers every path it was asked about: after so many a fresh one takes over. */
const QUESTIONS_MAX = 4096;
const ASCII = /^[\0-\x7f]*$/;

/**
 * Exclude patterns of gitignore, relative to a root, case-sensitive. Names are matched as UTF-8; a name that is not
 * valid UTF-8 is matched with one character (0-255) a byte.
 */
export class Excludes {
  readonly #patterns: Ignore;
  readonly #any: boolean;
  #asked = 0;
  #current: Ignore;

  constructor(patterns: readonly string[]) {
    this.#any = patterns.length > 0;
    this.#patterns = ignore({ ignorecase: false }).add([...patterns]);
    this.#current = this.#patterns;
  }

  /** Whether there is any pattern: else nobody needs to ask. */
  get any(): boolean {
    return this.#any;
  }

  /**
   * Asked from the root down: what is in an excluded directory is excluded, whatever a later pattern says.
   * @param path relative to the root, components (as `matchableName` gives them) joined by slashes
   */
  excludes(path: string, isDirectory: boolean): boolean {
    if (!this.#any) return false;
    if (this.#asked++ % QUESTIONS_MAX === 0) {
      this.#current = ignore({ ignorecase: false }).add(this.#patterns);
    }
    return this.#current.ignores(isDirectory ? path + '/' : path);
  }
}

/** A file name as patterns see it. */
export function matchableName(name: string): string {
  if (ASCII.test(name)) return name;
  const bytes = Buffer.from(name, 'latin1');
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : name;
}
