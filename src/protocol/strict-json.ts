import { LowtideError } from '../model/errors.ts';

/**
 * JSON (protocol R12) from a peer that may be hostile: UTF-8 without a byte order mark, no lone surrogates, no number that
 * is not finite, no name twice, none that could reach a prototype, and no deeper than messages are. How long the text
 * may be is the caller's business.
 */
const DEPTH_MAX = 8;
const FORBIDDEN_NAMES = new Set(['__proto__', 'constructor', 'prototype']);
const WHITE_SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERALS: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

export type JsonValue = null | boolean | number | string | JsonValue[] | { [name: string]: JsonValue };

/** @throws LowtideError `bad-request`, with the character where it went wrong */
export function parseStrictJson(bytes: Uint8Array): JsonValue {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new LowtideError('bad-request', 'the message is not UTF-8');
  }
  return new Parser(text).parse();
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): JsonValue {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) throw this.#wrong('something follows the message');
    return value;
  }

  #value(depth: number): JsonValue {
    if (depth > DEPTH_MAX) throw this.#wrong('the message is nested too deeply');
    this.#space();
    const first = this.#text[this.#at];
    if (first === '{') return this.#object(depth);
    if (first === '[') return this.#array(depth);
    if (first === '"') return this.#string();
    const literal = LITERALS.find(([word]) => this.#text.startsWith(word, this.#at));
    if (literal === undefined) return this.#number();
    this.#at += literal[0].length;
    return literal[1] as JsonValue;
  }

  #object(depth: number): JsonValue {
    const object: { [name: string]: JsonValue } = {};
    this.#items('}', () => {
      if (this.#text[this.#at] !== '"') throw this.#wrong('a name is missing');
      const name = this.#string();
      if (FORBIDDEN_NAMES.has(name)) throw this.#wrong(`the name ${name} is not allowed`);
      if (Object.hasOwn(object, name)) throw this.#wrong('a name stands twice');
      this.#space();
      if (!this.#take(':')) throw this.#wrong('a colon is missing');
      object[name] = this.#value(depth + 1);
    });
    return object;
  }

  #array(depth: number): JsonValue {
    const array: JsonValue[] = [];
    this.#items(']', () => void array.push(this.#value(depth + 1)));
    return array;
  }

  /** Calls `item` at the first character of each, with white space and commas taken care of. */
  #items(end: '}' | ']', item: () => void): void {
    this.#at++;
    this.#space();
    if (this.#take(end)) return;
    for (;;) {
      item();
      this.#space();
      if (this.#take(end)) return;
      if (!this.#take(',')) throw this.#wrong('a comma is missing');
      this.#space();
    }
  }

  /** The end is found here, what stands before it is left to JSON.parse. */
  #string(): string {
    let end = this.#at;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end === -1) throw this.#wrong('a string does not end');
    } while (this.#isEscaped(end));
    let value: string;
    try {
      value = JSON.parse(this.#text.slice(this.#at, end + 1)) as string;
    } catch {
      throw this.#wrong('a string is not valid');
    }
    if (!value.isWellFormed()) throw this.#wrong('a string has half a surrogate pair');
    this.#at = end + 1;
    return value;
  }

  #isEscaped(quote: number): boolean {
    let backslashes = 0;
    while (this.#text[quote - 1 - backslashes] === '\\') backslashes++;
    return backslashes % 2 === 1;
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    const found = NUMBER.exec(this.#text)?.[0];
    if (found === undefined) throw this.#wrong('a value is missing');
    const value = Number(found);
    if (!Number.isFinite(value)) throw this.#wrong('a number is too large');
    this.#at += found.length;
    return value;
  }

  #space(): void {
    WHITE_SPACE.lastIndex = this.#at;
    this.#at += WHITE_SPACE.exec(this.#text)?.[0].length ?? 0;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #wrong(why: string): LowtideError {
    return new LowtideError('bad-request', `the message is not valid JSON: ${why} at character ${this.#at}`);
  }
}
