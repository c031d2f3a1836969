import { type Document, isMap, isScalar, LineCounter, type Pair, parseDocument } from 'yaml';
import type { z } from 'zod';
import { isLowtideError, LowtideError, messageOf } from '../../model/errors.ts';
import { nearestOf } from '../../model/nearest.ts';
import { readWhole, writeDurably } from '../../world/disk/durable.ts';
import type { World } from '../../world/ports.ts';

const FILE_BYTES_MAX = 1 << 20;

/** A path inside a file: keys and indexes. */
export type Place = readonly PropertyKey[];

/** A configuration file as it was read: change `document` and write it, its comments stay. */
export interface ReadYaml<T> {
  readonly document: Document;
  readonly value: T;
  /** The error that says where in the file something is wrong. */
  bad(place: Place, message: string): LowtideError;
}

/**
 * A YAML file that people edit: comments survive changes by commands, and a mistake is told with file, line and
 * column (`bad-config`).
 */
export class YamlFile<T> {
  readonly path: string;
  readonly #world: World;
  readonly #shape: z.ZodType<T>;
  readonly #keysAt: (place: Place) => readonly string[];

  /** @param keysAt the keys that may stand at a place, to tell whoever mistyped one */
  constructor(world: World, path: string, shape: z.ZodType<T>, keysAt: (place: Place) => readonly string[]) {
    this.#world = world;
    this.path = path;
    this.#shape = shape;
    this.#keysAt = keysAt;
  }

  /** Writes the file unless it is there. */
  async create(text: string): Promise<void> {
    if ((await this.#world.disk.stat(this.path)) !== null) return;
    await writeDurably(this.#world.disk, this.path, Buffer.from(text));
  }

  /** @throws LowtideError `bad-config` with file, line, column and what was expected; `not-found` */
  async read(): Promise<ReadYaml<T>> {
    const bytes = await readWhole(this.#world.disk, this.path, FILE_BYTES_MAX);
    return this.#parse(Buffer.from(bytes).toString('utf8'));
  }

  /** @throws LowtideError `bad-config` if the change made it wrong: then nothing is written */
  async write(document: Document): Promise<ReadYaml<T>> {
    const text = document.toString({ lineWidth: 110 });
    const read = this.#parse(text);
    await writeDurably(this.#world.disk, this.path, Buffer.from(text));
    return read;
  }

  #parse(text: string): ReadYaml<T> {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    const badAt = (offset: number, message: string): LowtideError => {
      const { line, col } = lines.linePos(offset);
      return new LowtideError('bad-config', `${this.path}:${line}:${col}: ${message}`);
    };
    const [error] = document.errors;
    if (error !== undefined) throw badAt(error.pos[0], error.message);
    const result = this.#shape.safeParse(plainOf(document, badAt) ?? {});
    if (!result.success) {
      // A mistyped key is missing under its right name too: the typing mistake is what has to be said.
      const { issues } = result.error;
      const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!;
      throw badAt(offsetOf(document, issue.path, unknownKeyOf(issue)), this.#expectation(issue));
    }
    const bad = (place: Place, message: string): LowtideError => badAt(offsetOf(document, place), message);
    return { document, value: result.data, bad };
  }

  #expectation(issue: z.core.$ZodIssue): string {
    if (issue.code === 'unrecognized_keys') {
      const known = this.#keysAt(issue.path);
      const meant = nearestOf(issue.keys[0]!, known);
      const guess = meant === null ? '' : `; did you mean ${meant}?`;
      return `unknown key ${issue.keys.join(', ')}: expected one of ${known.join(', ')}${guess}`;
    }
    const where = issue.path.map(String).join('.');
    return where === '' ? expectationText(issue) : `${where}: ${expectationText(issue)}`;
  }
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys with values',
};
const COUNTED: Readonly<Record<string, string>> = { string: ' characters', array: ' entries' };

/** In words of people who write the file, where the shape has none of its own. */
function expectationText(issue: z.core.$ZodIssue): string {
  const { message } = issue;
  if (!/^(Invalid input|Invalid option|Too big|Too small)\b/.test(message)) return message;
  if (issue.code === 'invalid_type') {
    const nothing = message.endsWith('undefined') ? ', found nothing' : '';
    return `expected ${KINDS[issue.expected] ?? issue.expected}${nothing}`;
  }
  if (issue.code === 'invalid_union') {
    const kinds = issue.errors.flat().map((each) => expectationText(each).replace(/^expected /, ''));
    return `expected ${[...new Set(kinds)].join(' or ')}`;
  }
  if (issue.code === 'invalid_value') return `expected ${issue.values.map(String).join(' or ')}`;
  if (issue.code === 'too_big') return `expected at most ${issue.maximum}${COUNTED[issue.origin] ?? ''}`;
  if (issue.code === 'too_small') return `expected at least ${issue.minimum}${COUNTED[issue.origin] ?? ''}`;
  return message;
}

function plainOf(document: Document, badAt: (offset: number, message: string) => LowtideError): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw badAt(0, messageOf(error));
  }
}

const unknownKeyOf = (issue: z.core.$ZodIssue): string | undefined =>
  issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;

/** The character where a value of the file stands, or a key in it; of the thing around it if it is missing. */
function offsetOf(document: Document, place: Place, key?: string): number {
  for (let length = place.length; length >= 0; length--) {
    const node: unknown = length === 0 ? document.contents : document.getIn(place.slice(0, length), true);
    const pairs: readonly Pair[] = isMap(node) ? node.items : [];
    const keyNode =
      key === undefined ? undefined : pairs.find((pair) => isScalar(pair.key) && pair.key.value === key)?.key;
    const range = rangeOf(keyNode) ?? rangeOf(node);
    if (range !== null) return range;
  }
  return 0;
}

function rangeOf(node: unknown): number | null {
  const range = (node as { readonly range?: readonly number[] | null } | undefined)?.range;
  return range?.[0] ?? null;
}

/**
 * What a running daemon uses of a file that somebody may just be editing: the last good state stays in force, and an
 * alarm says why, once for each mistake.
 */
export class LastGood<T> {
  readonly #world: World;
  readonly #read: () => Promise<T>;
  #good: T;
  #mistake = '';

  constructor(world: World, first: T, read: () => Promise<T>) {
    this.#world = world;
    this.#good = first;
    this.#read = read;
  }

  /** What keeps the file as it was read last from being in force; null for nothing. */
  get mistake(): string | null {
    return this.#mistake === '' ? null : this.#mistake;
  }

  async current(): Promise<T> {
    try {
      this.#good = await this.#read();
      this.#mistake = '';
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      if (error.message !== this.#mistake) {
        this.#world.monitor.event({ kind: 'alarm', code: error.code, message: error.message });
      }
      this.#mistake = error.message;
    }
    return this.#good;
  }
}
