import { LowtideError } from '../model/errors.ts';
import { EVERY_DAY, type DaySet } from './weekly.ts';

const LONGEST_TEXT = 1000;
const LONGEST_QUOTE = 80;
const DAY_NAMES = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];
export const SHORT_DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;
const A_DAY = 'a day (Mon, Tue, Wed, Thu, Fri, Sat, Sun)';
/** Control characters that JSON lets through, and marks that turn the direction of writing. */
// oxlint-disable-next-line no-control-regex -- they are what must not reach a terminal
const UNPRINTABLE = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Text from people and peers, safe to print. */
export function quote(text: string): string {
  const shown = text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
  return JSON.stringify(shown).replaceAll(UNPRINTABLE, '?');
}

/** Reads a schedule from left to right; every complaint says where and what was expected there (S19). */
export class Scanner {
  readonly #text: string;
  /** UTF-16 units before the next thing to read; never in front of a space. */
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.length > LONGEST_TEXT) this.fail(`at most ${LONGEST_TEXT} characters`, LONGEST_TEXT);
    this.#skip(0);
  }

  get place(): number {
    return this.#at;
  }

  get ended(): boolean {
    return this.#at === this.#text.length;
  }

  /** Goes back to a place that was read before. */
  returnTo(place: number): void {
    this.#at = place;
  }

  #skip(length: number): void {
    this.#at += length;
    while (/\s/.test(this.#text.charAt(this.#at))) this.#at++;
  }

  /** What follows and matches, without taking it; '' if nothing does. */
  #ahead(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] ?? '';
  }

  #take(pattern: RegExp): string {
    const found = this.#ahead(pattern);
    this.#skip(found.length);
    return found;
  }

  mark(sign: ',' | '(' | ')'): boolean {
    if (this.#text.charAt(this.#at) !== sign) return false;
    this.#skip(1);
    return true;
  }

  /** A hyphen, or the dash that word processors make of it. */
  dash(): boolean {
    return this.#take(/[-–]/y) !== '';
  }

  /** The letters that follow, in lower case. */
  wordAhead(): string {
    return this.#ahead(/[A-Za-z]+/y).toLowerCase();
  }

  word(...words: string[]): string | null {
    const found = this.wordAhead();
    if (!words.includes(found)) return null;
    this.#skip(found.length);
    return found;
  }

  number(): number | null {
    const found = this.#take(/\d{1,6}/y);
    return found === '' ? null : Number(found);
  }

  /** A number with up to three decimals. */
  decimal(): number | null {
    const found = this.#take(/\d{1,9}(?:\.\d{1,3})?(?![\d.:])/y);
    return found === '' ? null : Number(found);
  }

  /** One of `names`, in these letters and nothing that goes on after it. */
  exactly(names: readonly string[]): string | null {
    const found = this.#ahead(/[A-Za-z/]+/y);
    if (!names.includes(found)) return null;
    this.#skip(found.length);
    return found;
  }

  /** Seconds since midnight, whole minutes unless `latest` has seconds; null if what follows does not begin like a time. */
  time(latest: '23:59' | '23:59:59' | '24:00:00'): number | null {
    const place = this.#at;
    if (!this.digitAhead) return null;
    const pattern = latest === '23:59' ? /\d{1,2}:\d{2}(?![\d:])/y : /\d{1,2}:\d{2}(?::\d{2})?(?![\d:])/y;
    const seconds = secondsOf(this.#take(pattern));
    if (seconds <= secondsOf(latest)) return seconds;
    return this.fail(`a time from 00:00 to ${latest.slice(0, 5)}`, place);
  }

  #day(): number | null {
    const word = this.wordAhead();
    const day = DAY_NAMES.findIndex((name) => name === word || name.slice(0, 3) === word);
    if (day < 0) return null;
    this.#skip(word.length);
    return day;
  }

  get digitAhead(): boolean {
    return this.#ahead(/\d/y) !== '';
  }

  get dayAhead(): boolean {
    const place = this.#at;
    const found = this.#day() !== null;
    this.#at = place;
    return found;
  }

  /** Days and ranges of days with commas between them, or `daily`; null if no day follows. */
  days(): DaySet | null {
    if (this.word('daily') !== null) return EVERY_DAY;
    let days = 0;
    for (let first = this.#day(); first !== null; first = this.#dayAfterComma()) {
      const last = this.dash() ? (this.#day() ?? this.fail(A_DAY)) : first;
      for (let day = first; ; day = (day + 1) % 7) {
        days |= 1 << day;
        if (day === last) break;
      }
    }
    return days === 0 ? null : days;
  }

  /** A comma that is followed by something else ends the list and is left for the caller. */
  #dayAfterComma(): number | null {
    const place = this.#at;
    const day = this.mark(',') ? this.#day() : null;
    if (day === null) this.#at = place;
    return day;
  }

  /** The name of a zone, unchecked; null if no name follows or if it is one of `others` or a day. */
  zoneName(...others: string[]): string | null {
    if (others.includes(this.wordAhead()) || this.dayAhead) return null;
    const name = this.#take(/[A-Za-z][A-Za-z0-9_+/-]*/y);
    return name === '' ? null : name;
  }

  /** @param expected what should have stood there */
  fail(expected: string, place = this.#at): never {
    const rest = this.#text.slice(place).match(/^([A-Za-z]+|[\d:]+|.)/su)?.[0];
    const found = rest === undefined ? 'the end' : quote(rest);
    const character = Array.from(this.#text.slice(0, place)).length + 1;
    throw new LowtideError(
      'bad-schedule',
      `the schedule ${quote(this.#text)} is not understood at character ${character}: expected ${expected}, found ${found}`,
    );
  }
}

/** `Mon-Fri`, `Mon,Wed`, `daily`. */
export function daysText(days: DaySet): string {
  if (days === EVERY_DAY) return 'daily';
  const parts: string[] = [];
  for (let day = 0; day < 7; day++) {
    if ((days & (1 << day)) === 0) continue;
    const first = day;
    while (day < 6 && (days & (1 << (day + 1))) !== 0) day++;
    parts.push(first === day ? SHORT_DAYS[first]! : `${SHORT_DAYS[first]!}-${SHORT_DAYS[day]!}`);
  }
  return parts.join(',');
}

/** Of `H:MM` or `H:MM:SS`; what is none is later than any time. */
function secondsOf(text: string): number {
  const [hour = Number.POSITIVE_INFINITY, minute = 0, second = 0] =
    text === '' ? [] : text.split(':').map(Number);
  return minute < 60 && second < 60 ? (hour * 60 + minute) * 60 + second : Number.POSITIVE_INFINITY;
}

/** `22:00`, `22:00:30`; a whole day is `24:00`. */
export function timeText(seconds: number): string {
  const two = (count: number): string => String(Math.floor(count)).padStart(2, '0');
  const minutes = `${two(seconds / 3600)}:${two((seconds / 60) % 60)}`;
  return seconds % 60 === 0 ? minutes : `${minutes}:${two(seconds % 60)}`;
}
