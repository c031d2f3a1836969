import type { Collector } from '../../collect/collector.ts';
import { LowtideError } from '../../model/errors.ts';
import { DAY_MS, type UnixMillis } from '../../model/time.ts';
import type { Forecast } from '../../schedule/forecast.ts';
import { nextInterval, parseWindows } from '../../schedule/windows.ts';

/** A forecast plays the night three times; with more than this many offers that would hold the center up. */
const OFFERS_MAX = 5000;
const NIGHTS_MAX_MS = 14 * DAY_MS;

export interface NightAsk {
  /** YYYY-MM-DD, the day on which the night begins; null: the one that is on or comes next. */
  readonly night: string | null;
  /** As if every computer were connected. */
  readonly everybody: boolean;
}

/**
 * The night as it is expected, null if there is too much to play.
 * @throws LowtideError `bad-request` for a date that is none, is past, or is too far away
 */
export function forecastOf(collector: Collector, ask: NightAsk, now: UnixMillis): Forecast | null {
  if (collector.planning.outstanding > OFFERS_MAX) return null;
  const { everybody, night } = ask;
  if (night === null) return collector.planning.forecast({ everybody });
  return collector.planning.forecast({ everybody, nightEnd: nightEndOf(collector, night, now) });
}

/** Of the center's interval that is open or begins in the 24 hours from noon on that day. */
function nightEndOf(collector: Collector, night: string, now: UnixMillis): UnixMillis {
  const { windows, zone } = collector.conditions;
  const noon = noonOf(night, zone);
  const found = nextInterval(parseWindows(windows, zone), noon);
  const end = found === null || found.start >= noon + DAY_MS ? noon + DAY_MS : (found.end ?? noon + DAY_MS);
  if (end > now && end <= now + NIGHTS_MAX_MS) return end;
  throw new LowtideError('bad-request', `the night of ${night} is past or more than two weeks away`);
}

function noonOf(night: string, zone: string): UnixMillis {
  try {
    if (!/^\d{4}-\d{2}-\d{2}$/.test(night)) throw new RangeError('not a date alone');
    const day = Temporal.PlainDate.from(night);
    return day.toZonedDateTime({ timeZone: zone, plainTime: '12:00' }).epochMilliseconds;
  } catch {
    throw new LowtideError('bad-request', `${JSON.stringify(night)} is not a date: write YYYY-MM-DD`);
  }
}
