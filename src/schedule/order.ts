import { HOUR_MS, type UnixMillis } from '../model/time.ts';
import type { PlannedOffer } from './plan.ts';
import type { OfferRecord } from './records.ts';

/** Offers of the same quarter of a day count as equally old, so that among them the long ones can go first (S55). */
const AGE_MS = 6 * HOUR_MS;

export function ageGroup({ offeredAt }: PlannedOffer): UnixMillis {
  return Math.floor(offeredAt / AGE_MS) * AGE_MS;
}

/** The moment by which it has to be at the end, in the time of its track: see `Track.offset`. */
function endOf({ deadline, before, track }: OfferRecord): UnixMillis {
  if (deadline !== null) return before + track.offset;
  return (track.standing.open ? track.standing.until : null) ?? Infinity;
}

/** S55: the least is first. Only while the windows are open; does not change as long as they are. */
export function urgency(record: OfferRecord): UnixMillis {
  return endOf(record) - record.alone;
}

/** Begun later than this, it cannot be in time even if nothing is in its way. */
export function lastStart(record: OfferRecord): UnixMillis {
  return endOf(record) - record.expected;
}

/** S55, of offers whose windows are open. */
export function goesBefore(a: OfferRecord, b: OfferRecord): boolean {
  const [left, right] = [urgency(a), urgency(b)];
  return left === right ? breaksTie(a, b) : left < right;
}

/** S55 within a lane: the same as `goesBefore`, and does not change with the windows. */
export function laneBefore(a: OfferRecord, b: OfferRecord): boolean {
  const [left, right] = [a.before - a.alone, b.before - b.alone];
  return left === right ? breaksTie(a, b) : left < right;
}

/** S56: who is due first, whatever the windows are. */
export function dueBefore(a: OfferRecord, b: OfferRecord): boolean {
  return a.due === b.due ? breaksTie(a, b) : a.due < b.due;
}

function breaksTie(a: OfferRecord, b: OfferRecord): boolean {
  const [ageA, ageB] = [ageGroup(a.offer), ageGroup(b.offer)];
  if (ageA !== ageB) return ageA < ageB;
  if (a.begun !== b.begun) return a.begun;
  if (a.alone !== b.alone) return a.alone > b.alone;
  if (a.offer.bytes !== b.offer.bytes) return a.offer.bytes < b.offer.bytes;
  return a.offer.snapshot < b.offer.snapshot;
}
