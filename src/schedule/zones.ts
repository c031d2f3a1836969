import { LowtideError } from '../model/errors.ts';
import type { UnixMillis } from '../model/time.ts';
import { quote } from './scanner.ts';
import { MINUTES_PER_DAY } from './weekly.ts';

const MINUTES_PER_HOUR = 60;
const NAME = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/;
const LONGEST_NAME = 64;

/** The zone's name in its proper spelling. `bad-zone` (naming the nearest) if it is not an IANA name (S6). */
export function checkZone(text: string): string {
  const known = text.length <= LONGEST_NAME && NAME.test(text) ? properName(text) : null;
  if (known !== null) return known;
  throw new LowtideError(
    'bad-zone',
    `${quote(text)} is not a time zone that this machine knows: the nearest name is ${nearestZone(text)}`,
  );
}

function properName(text: string): string | null {
  try {
    return new Temporal.ZonedDateTime(0n, text).timeZoneId;
  } catch {
    return null;
  }
}

function nearestZone(text: string): string {
  const wanted = text.slice(0, LONGEST_NAME).toLowerCase();
  let best = 'UTC';
  let distance = editDistance(wanted, 'utc');
  for (const zone of Intl.supportedValuesOf('timeZone')) {
    const name = zone.toLowerCase();
    const city = name.slice(name.lastIndexOf('/') + 1);
    // Somebody who leaves out the continent means the city: half a step worse than a full match.
    const near = Math.min(editDistance(wanted, name), editDistance(wanted, city) + 0.5);
    if (near < distance) [best, distance] = [zone, near];
  }
  return best;
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const row = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const change = above[j]! + (a[i] === b[j] ? 0 : 1);
      row.push(Math.min(change, above[j + 1]! + 1, row[j]! + 1));
    }
    above = row;
  }
  return above.at(-1)!;
}

/** The date on the wall. */
export function dateAt(at: UnixMillis, zone: string): Temporal.PlainDate {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone).toPlainDate();
}

/**
 * The one instant that a time on the wall means (S2): the first at which a clock that is never set back shows it or
 * has gone past it. So: in a repeated hour the first time round, in a gap the end of the gap.
 * @param minutes since midnight of `date`; above 1440 it is on the next day
 */
export function momentOf(date: Temporal.PlainDate, minutes: number, zone: string): UnixMillis {
  const day = minutes >= MINUTES_PER_DAY ? date.add({ days: 1 }) : date;
  const left = minutes % MINUTES_PER_DAY;
  const wall = day.toPlainDateTime({
    hour: Math.floor(left / MINUTES_PER_HOUR),
    minute: left % MINUTES_PER_HOUR,
  });
  const found = wall.toZonedDateTime(zone, { disambiguation: 'earlier' });
  if (found.toPlainDateTime().equals(wall)) return found.epochMilliseconds;
  return found.getTimeZoneTransition('next')!.epochMilliseconds;
}
