import { daysText, Scanner, timeText } from './scanner.ts';
import { EVERY_DAY, SECONDS_PER_DAY, type DaySet, type WeeklySpan, type Windows } from './weekly.ts';
import { readCommonZone, readZone } from './zone-text.ts';
import { checkZone } from './zones.ts';

/** A span whose zone may not be known yet: `(Zone)` at the end of the text speaks for all that name none. */
export interface Draft extends Omit<WeeklySpan, 'zone'> {
  readonly zone: string | null;
}

/**
 * Reads windows in the grammar of docs/scheduling.md S10-S15, such as `Mon-Fri 22:00-06:00, Sat-Sun any except 12:00-13:00`.
 * @param zone of the windows that name none
 * @throws LowtideError `bad-schedule` with the place and what was expected there, `bad-zone` with the nearest name
 */
export function parseWindows(text: string, zone: string): Windows {
  const fallback = checkZone(zone);
  const scanner = new Scanner(text);
  if (scanner.word('never') !== null) {
    if (!scanner.ended) scanner.fail('nothing after "never"');
    return makeWindows([], []);
  }
  const exceptFirst = scanner.wordAhead() === 'except';
  const open = exceptFirst
    ? [{ days: EVERY_DAY, start: 0, end: SECONDS_PER_DAY, zone: null }]
    : readList(scanner);
  const except: Draft[] = [];
  while (scanner.word('except') !== null) except.push(...readList(scanner));
  const common = readCommonZone(scanner) ?? fallback;
  if (!scanner.ended) scanner.fail('a comma, "except" or the end');
  return makeWindows(settle(open, common), settle(except, common));
}

/** @param zone of those that name none */
function settle(drafts: readonly Draft[], zone: string): WeeklySpan[] {
  return drafts.map((draft) => ({ ...draft, zone: draft.zone ?? zone }));
}

export function windowsOf(drafts: readonly Draft[], zone: string): Windows {
  return makeWindows(settle(drafts, zone), []);
}

/** Spans up to `except`, `(` or the end. A comma in front of `except` is allowed. */
function readList(scanner: Scanner): Draft[] {
  const drafts: Draft[] = [];
  let namedDays = false;
  do {
    const place = scanner.place;
    const days = scanner.days();
    // "Mon-Fri 08:00-09:00, 19:30-20:30" could mean either; guessing would open a window nobody asked for (S12).
    if (days === null && namedDays) {
      scanner.fail(
        'the days of this window, because the one before names days ("daily" for every day)',
        place,
      );
    }
    namedDays ||= days !== null && days !== EVERY_DAY;
    drafts.push(readSpan(scanner, days));
  } while (scanner.mark(',') && scanner.wordAhead() !== 'except');
  return drafts;
}

/** One window, its days read already. */
export function readSpan(scanner: Scanner, named: DaySet | null): Draft {
  const days = named ?? EVERY_DAY;
  const hours = readHours(scanner);
  if (hours === null && named === null) scanner.fail('a day, a time such as 22:00, "any" or "except"');
  return { days, ...(hours ?? { start: 0, end: SECONDS_PER_DAY }), zone: readZone(scanner) };
}

function readHours(scanner: Scanner): { readonly start: number; readonly end: number } | null {
  if (scanner.word('any') !== null) return { start: 0, end: SECONDS_PER_DAY };
  const start = scanner.time('23:59:59');
  if (start === null) return null;
  if (!scanner.dash()) scanner.fail('"-" and the time at which the window closes');
  const place = scanner.place;
  const end = scanner.time('24:00:00') ?? scanner.fail('the time at which the window closes, such as 06:00');
  if (end === start) scanner.fail('another time than the start ("any" is the whole day)', place);
  return { start, end: end > start ? end : end + SECONDS_PER_DAY };
}

function makeWindows(open: readonly WeeklySpan[], except: readonly WeeklySpan[]): Windows {
  return { text: windowsText(open, except), open, except };
}

/** Whether it covers every second of every week by itself. */
function coversAll({ days, start, end }: WeeklySpan): boolean {
  return days === EVERY_DAY && end - start === SECONDS_PER_DAY && start === 0;
}

/** Open for ever, whatever any zone's clocks do. */
export function isAlways(windows: Windows): boolean {
  return windows.except.length === 0 && windows.open.some(coversAll);
}

export function isNever(windows: Windows): boolean {
  return windows.open.length === 0;
}

/** The windows as people write them, every zone named. Reading it gives the same windows again (S18). */
export function describeWindows(windows: Windows): string {
  return windows.text;
}

function windowsText(open: readonly WeeklySpan[], except: readonly WeeklySpan[]): string {
  if (open.length === 0) return 'never';
  if (isAlways({ text: '', open, except })) return 'any';
  const zones = new Set([...open, ...except].map(({ zone }) => zone));
  const shared = zones.size === 1 && open.length + except.length > 1;
  let namedDays = false;
  const opens = open.map((span) => {
    namedDays ||= span.days !== EVERY_DAY;
    return spanText(span, namedDays, !shared);
  });
  const excepts = except.map((span) => ` except ${spanText(span, span.days !== EVERY_DAY, !shared)}`);
  return `${opens.join(', ')}${excepts.join('')}${shared ? ` (${[...zones].join('')})` : ''}`;
}

function spanText(span: WeeklySpan, withDays: boolean, withZone: boolean): string {
  const hours = span.end - span.start === SECONDS_PER_DAY ? 'any' : hoursText(span);
  return [...(withDays ? [daysText(span.days)] : []), hours, ...(withZone ? [span.zone] : [])].join(' ');
}

function hoursText({ start, end }: WeeklySpan): string {
  return `${timeText(start)}-${timeText(end > SECONDS_PER_DAY ? end - SECONDS_PER_DAY : end)}`;
}
