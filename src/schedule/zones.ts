import { LowtideError } from '../model/errors.ts';
import { editDistance } from '../model/nearest.ts';
import type { UnixMillis } from '../model/time.ts';
import { quote } from './scanner.ts';

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

/** A zone's clocks over some time: from each of these instants on, the wall shows UTC + `offset`. */
export type Offsets = readonly { readonly from: UnixMillis; readonly offset: number }[];

/** Milliseconds since 1970-01-01 00:00 as the wall shows it, whatever the zone. */
export type WallMillis = number;

/** Right between `from` and `to`; before the first and after the last change the clocks are taken to go on as they are. */
export function offsetsOf(zone: string, from: UnixMillis, to: UnixMillis): Offsets {
  let at = Temporal.Instant.fromEpochMilliseconds(Math.floor(from)).toZonedDateTimeISO(zone);
  const offsets = [{ from: Number.NEGATIVE_INFINITY, offset: offsetMillis(at) }];
  for (;;) {
    const next = at.getTimeZoneTransition('next');
    if (next === null || next.epochMilliseconds > to) return offsets;
    offsets.push({ from: next.epochMilliseconds, offset: offsetMillis(next) });
    at = next;
  }
}

function offsetMillis(at: Temporal.ZonedDateTime): number {
  return at.offsetNanoseconds / 1_000_000;
}

export function wallAt(at: UnixMillis, offsets: Offsets): WallMillis {
  return at + offsets.findLast(({ from }) => from <= at)!.offset;
}

/**
 * The one instant that a time on the wall means (S2): the first at which a clock that is never set back shows it or
 * has gone past it. So: in a repeated hour the first time round, in a gap the end of the gap.
 */
export function momentOf(wall: WallMillis, offsets: Offsets): UnixMillis {
  const stretch = offsets.findIndex(({ offset }, i) => {
    const next = offsets[i + 1];
    return next === undefined || wall < next.from + offset;
  });
  const { from, offset } = offsets[stretch]!;
  return Math.max(from, wall - offset);
}
