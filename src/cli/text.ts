import { textWidth, wrapLines } from '../model/text-lines.ts';
import type { Entry, EntryType } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../model/time.ts';

/** How the command line writes numbers, times and tables. Pure, so that every form has a test. */

/** `1,234`, of a whole number. By hand: the tables of `toLocaleString` take 10 ms to load. */
export function countText(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 file`, `2 files`. */
export function plural(count: number, singular: string, many = singular + 's'): string {
  return `${countText(count)} ${count === 1 ? singular : many}`;
}

/** `0.4 s`, `12 s`, `3 min 04 s`, `2 h 05 min`. */
export function durationText(ms: number): string {
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${twoDigits(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
}

const twoDigits = (value: number): string => String(value).padStart(2, '0');

const SPAN_UNITS: Readonly<Record<string, number>> = {
  s: SECOND_MS,
  min: MINUTE_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
};

/** Milliseconds of `90 s`, `30min`, `1h`, `2 d`. @throws LowtideError `bad-request` */
export function parseDuration(text: string): number {
  const match = /^\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)\s*$/.exec(text);
  const unit = SPAN_UNITS[match?.[2] ?? ''];
  if (match !== null && unit !== undefined) return Number(match[1]) * unit;
  throw new LowtideError(
    'bad-request',
    `${JSON.stringify(text)} is not a time span: write 90s, 30min, 1h or 2d`,
  );
}

/** `22:00-06:00 (UTC)`; `at any time`. */
export function hoursText(windows: string, zone: string): string {
  return windows === 'any' ? 'at any time' : `${windows} (${zone})`;
}

/** `2026-03-02 22:00`, in `zone`. */
export function timeText(at: number, zone: string): string {
  return timeOf(at, zone, 'minute');
}

/** `2026-03-02 22:00:07`, in `zone`. */
export function secondText(at: number, zone: string): string {
  return timeOf(at, zone, 'second');
}

function timeOf(at: number, zone: string, smallestUnit: 'minute' | 'second'): string {
  const local = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
  return `${local.toPlainDate().toString()} ${local.toPlainTime().toString({ smallestUnit, roundingMode: 'trunc' })}`;
}

const TYPE_LETTERS: Readonly<Record<EntryType, string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  'character-device': 'c',
  'block-device': 'b',
};

/** As `ls -l` writes it: `drwxr-xr-t`. */
export function modeText({ type, mode }: Pick<Entry, 'type' | 'mode'>): string {
  const triple = (bits: number, special: boolean, letter: string): string => {
    const execute = special ? letter[bits & 1 ? 0 : 1]! : bits & 1 ? 'x' : '-';
    return (bits & 4 ? 'r' : '-') + (bits & 2 ? 'w' : '-') + execute;
  };
  return (
    TYPE_LETTERS[type] +
    triple(mode >> 6, (mode & 0o4000) !== 0, 'sS') +
    triple(mode >> 3, (mode & 0o2000) !== 0, 'sS') +
    triple(mode, (mode & 0o1000) !== 0, 'tT')
  );
}

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Lines of a table with aligned columns, a heading, and no trailing blanks. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, at) =>
    rows.reduce((widest, row) => Math.max(widest, textWidth(row[at] ?? '')), textWidth(title)),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, at) => pad(cells[at] ?? '', widths[at]!, align ?? 'left'))
      .join('  ')
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)];
}

/** What people read at once: terminals are wider seldom. */
export const WIDTH = 100;
const NOTE_INDENT = 4;

/** A table in which each row has lines of text below it, cut where a terminal ends. @param indent of where it is shown */
export function notedTable(
  columns: readonly Column[],
  rows: readonly { readonly cells: readonly string[]; readonly notes: readonly string[] }[],
  indent: number,
): string[] {
  const [head = '', ...lines] = tableLines(
    columns,
    rows.map(({ cells }) => cells),
  );
  return [
    head,
    ...lines.flatMap((line, at) => [line, ...rows[at]!.notes.flatMap((note) => noteLines(note, indent))]),
  ];
}

/** Said below as it would be in its column. */
export const asIs = (cell: string): string => cell;

/** A column that need not be one. */
export interface FoldingColumn extends Column {
  /** What is said of a cell below its row where the whole table would be wider than a terminal; '' for nothing. */
  readonly below?: (cell: string) => string;
}

/** A table that keeps to the width: if it cannot, the columns that may be are below their rows. */
export function foldingTable(
  columns: readonly FoldingColumn[],
  rows: readonly (readonly string[])[],
): string[] {
  const lines = tableLines(columns, rows);
  const folds = ({ below }: FoldingColumn): boolean => below !== undefined;
  if (lines.every((line) => textWidth(line) <= WIDTH) || !columns.some(folds)) return lines;
  const folded = rows.map((row) => {
    const said = columns.map(({ below }, at) => below?.(row[at] ?? '') ?? '').filter((text) => text !== '');
    return {
      cells: row.filter((_, at) => !folds(columns[at]!)),
      // With room for what a further line of a note is further in.
      notes: joinedLines(said, WIDTH - NOTE_INDENT - 2),
    };
  });
  return notedTable(
    columns.filter((column) => !folds(column)),
    folded,
    0,
  );
}

/** A text below something, its further lines a little further in. */
export function noteLines(text: string, indent: number): string[] {
  return hangingLines(text, WIDTH - indent, ' '.repeat(NOTE_INDENT));
}

/** A text of at most `columns`, each line after `indent`, its further lines a little further in. */
export function hangingLines(text: string, columns: number, indent = ''): string[] {
  const [first = '', ...rest] = wrapLines(text, columns - 2, indent);
  return [first, ...rest.map((line) => `  ${line}`)];
}

/** Parts of one statement, as many on a line as it holds. */
export function joinedLines(parts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const longer = lines.length === 0 ? part : `${lines.at(-1)!}; ${part}`;
    if (lines.length > 0 && textWidth(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(part);
  }
  return lines.flatMap((line) => wrapLines(line, columns));
}

/** `name   value` lines, values aligned. */
export function pairLines(pairs: readonly (readonly [name: string, value: string])[]): string[] {
  const widest = pairs.reduce((most, [name]) => Math.max(most, textWidth(name)), 0);
  return pairs.map(([name, value]) => `${pad(name, widest, 'left')}  ${value}`.trimEnd());
}

/** The same of values that take as many lines as they need in the columns that are left; shown after an indent of two. */
export function namedLines(
  items: readonly (readonly [name: string, linesIn: (columns: number) => readonly string[]])[],
): string[] {
  const widest = items.reduce((most, [name]) => Math.max(most, textWidth(name)), 0);
  return pairLines(
    items.flatMap(([name, linesIn]) =>
      linesIn(WIDTH - widest - 4).map((text, at): [string, string] => [at === 0 ? name : '', text]),
    ),
  );
}

function pad(text: string, to: number, align: 'left' | 'right'): string {
  const blanks = ' '.repeat(Math.max(0, to - textWidth(text)));
  return align === 'left' ? text + blanks : blanks + text;
}
