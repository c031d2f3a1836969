import { DAY_MS, HOUR_MS, MINUTE_MS } from '../model/time.ts';
import { daysText, Scanner, timeText } from './scanner.ts';
import { EVERY_DAY, type DaySet } from './weekly.ts';
import { readCommonZone, readZone } from './zone-text.ts';
import { checkZone } from './zones.ts';

/** When backups are taken. `text` is canonical, every zone named: the same text is the same calendar. */
export type Calendar =
  | { readonly kind: 'manual'; readonly text: string }
  | { readonly kind: 'every'; readonly text: string; readonly interval: number }
  | { readonly kind: 'times'; readonly text: string; readonly times: readonly WeeklyTime[] };

export interface WeeklyTime {
  readonly days: DaySet;
  /** Seconds since midnight: whole minutes below a day. */
  readonly time: number;
  /** IANA name. */
  readonly zone: string;
}

interface Draft extends Omit<WeeklyTime, 'zone'> {
  readonly zone: string | null;
}

const LONGEST_INTERVAL = 366 * DAY_MS;
const units: Record<string, number> = {
  min: MINUTE_MS,
  minute: MINUTE_MS,
  minutes: MINUTE_MS,
  h: HOUR_MS,
  hour: HOUR_MS,
  hours: HOUR_MS,
  d: DAY_MS,
  day: DAY_MS,
  days: DAY_MS,
};

/**
 * Reads when to take backups, in the grammar of docs/scheduling.md S30: `daily 22:00`, `Mon,Wed 07:00, Sat 12:00`,
 * `hourly`, `every 6 h`, `manual`.
 * @param zone of the times that name none
 * @throws LowtideError `bad-schedule` with the place and what was expected there, `bad-zone` with the nearest name
 */
export function parseCalendar(text: string, zone: string): Calendar {
  const fallback = checkZone(zone);
  const scanner = new Scanner(text);
  if (scanner.word('manual') !== null) return alone(scanner, 'manual', { kind: 'manual', text: 'manual' });
  if (scanner.word('hourly') !== null) return alone(scanner, 'hourly', everyInterval(HOUR_MS));
  if (scanner.word('every') !== null) return alone(scanner, 'the interval', readInterval(scanner));
  const drafts = readTimes(scanner);
  const common = readCommonZone(scanner) ?? fallback;
  if (!scanner.ended) scanner.fail('a comma or the end');
  const times = drafts.map((draft): WeeklyTime => ({ ...draft, zone: draft.zone ?? common }));
  return { kind: 'times', text: timesText(times), times };
}

function alone(scanner: Scanner, what: string, calendar: Calendar): Calendar {
  return scanner.ended ? calendar : scanner.fail(`nothing after ${what}`);
}

function readInterval(scanner: Scanner): Calendar {
  const place = scanner.place;
  const count = scanner.number() ?? scanner.fail('a number, as in "every 6 h"');
  const word = scanner.word(...Object.keys(units)) ?? scanner.fail('"min", "h" or "d"');
  const interval = count * units[word]!;
  if (interval === 0 || interval > LONGEST_INTERVAL) scanner.fail('from 1 min to 366 d', place);
  return everyInterval(interval);
}

function readTimes(scanner: Scanner): Draft[] {
  const drafts: Draft[] = [];
  let namedDays = false;
  do {
    const place = scanner.place;
    const days = scanner.days();
    // As with windows (S12): "Mon-Fri 12:00, 18:00" could mean two things.
    if (days === null && namedDays) {
      scanner.fail('the days of this time, because the one before names days ("daily" for every day)', place);
    }
    namedDays ||= days !== null && days !== EVERY_DAY;
    const time =
      scanner.time('23:59') ??
      scanner.fail(
        days === null
          ? 'a day, a time such as 22:00, "hourly", "every" or "manual"'
          : 'a time of day such as 22:00',
      );
    drafts.push({ days: days ?? EVERY_DAY, time, zone: readZone(scanner) });
  } while (scanner.mark(','));
  return drafts;
}

function everyInterval(interval: number): Calendar {
  return { kind: 'every', text: intervalText(interval), interval };
}

function intervalText(interval: number): string {
  if (interval === HOUR_MS) return 'hourly';
  if (interval % HOUR_MS !== 0) return `every ${interval / MINUTE_MS} min`;
  if (interval % DAY_MS !== 0 || interval === DAY_MS) return `every ${interval / HOUR_MS} h`;
  return `every ${interval / DAY_MS} d`;
}

function timesText(times: readonly WeeklyTime[]): string {
  const zones = new Set(times.map(({ zone }) => zone));
  const shared = zones.size === 1 && times.length > 1;
  const parts = times.map(({ days, time, zone }) =>
    [daysText(days), timeText(time), ...(shared ? [] : [zone])].join(' '),
  );
  return parts.join(', ') + (shared ? ` (${[...zones].join('')})` : '');
}

/** The calendar as people write it, every zone named. Reading it gives the same calendar again. */
export function describeCalendar(calendar: Calendar): string {
  return calendar.text;
}
