import { DAY_MS, MINUTE_MS, type UnixMillis } from '../model/time.ts';
import { timeText } from './text.ts';

const WORDS = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth'];

/** `third in line`; '' for what is being sent, and where nobody knows. */
export function placeText(place: number | null): string {
  return place === null || place === 0 ? '' : `${WORDS[place - 1] ?? ordinal(place)} in line`;
}

/** `12th`, `22nd`. */
function ordinal(n: number): string {
  const teen = n % 100 >= 11 && n % 100 <= 13;
  return `${n}${teen ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th')}`;
}

/** The time, with the date unless it is within a day of now. */
export function clockText(at: UnixMillis, zone: string, now: UnixMillis): string {
  const date = Math.abs(at - now) < DAY_MS ? '' : timeText(at, zone).slice(0, -5);
  return date + hourText(at, zone);
}

/** `22:00`; where the clock shows a time twice, which of the two: `01:36 (+01:00)`. */
export function hourText(at: UnixMillis, zone: string): string {
  const local = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
  const [first, second] = (['earlier', 'later'] as const).map((disambiguation) =>
    local.toPlainDateTime().toZonedDateTime(zone, { disambiguation }),
  );
  const twice = first!.epochMilliseconds !== second!.epochMilliseconds;
  return `${timeText(at, zone).slice(-5)}${twice ? ` (${local.offset})` : ''}`;
}

/** The same of the end of something: a minute that has begun is over only at its end. */
export function endText(at: UnixMillis, zone: string, now: UnixMillis): string {
  return clockText(Math.ceil(at / MINUTE_MS) * MINUTE_MS, zone, now);
}
