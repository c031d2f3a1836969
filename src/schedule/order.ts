import { HOUR_MS, type UnixMillis } from '../model/time.ts';
import type { PlannedOffer } from './plan.ts';
import type { OfferRecord } from './records.ts';

/** Offers of the same quarter of a day count as equally old, so that among them the long ones can go first (S55). */
const AGE_MS = 6 * HOUR_MS;

export function ageGroup({ offeredAt }: PlannedOffer): UnixMillis {
  return Math.floor(offeredAt / AGE_MS) * AGE_MS;
}

/** By the end of the shared interval; infinite if there is none. */
export function nightEnd({ track }: OfferRecord): UnixMillis {
  return (track.standing.open ? track.standing.until : null) ?? Infinity;
}

/** By its deadline, as if its windows stayed open from now on: see `Track.offset`. Infinite if there is none. */
export function datedEnd({ deadline, before, track }: OfferRecord): UnixMillis {
  return deadline === null ? Infinity : before + track.offset;
}

/** By when its client will have gone; infinite if nobody expects that. */
export function leavingEnd({ client }: OfferRecord): UnixMillis {
  return client.leaves ?? Infinity;
}

/** The earliest of its ends by which it can be done, if it is begun now; infinite if there is none. */
function endInTime(record: OfferRecord, now: UnixMillis): UnixMillis {
  const soonest = now + record.needed;
  const [night, dated, leaving] = [nightEnd(record), datedEnd(record), leavingEnd(record)];
  let least = night >= soonest ? night : Infinity;
  if (dated < least && dated >= soonest) least = dated;
  return leaving < least && leaving >= soonest ? leaving : least;
}

/** S55: the least is first. Only while the windows are open. */
export function urgency(record: OfferRecord, now: UnixMillis): UnixMillis {
  return endInTime(record, now) - record.alone;
}

/** When it has to begin to be in time, even if nothing is in its way; infinite if it cannot or need not. */
export function lastStart(record: OfferRecord, now: UnixMillis): UnixMillis {
  return endInTime(record, now) - record.needed;
}

/** What is left when it begins now and takes what it is expected to; a little less than nothing is possible. */
export function spareTime(record: OfferRecord, now: UnixMillis): number {
  return endInTime(record, now) - record.expected - now;
}

/** S55, of offers whose windows are open. */
export function goesBefore(a: OfferRecord, b: OfferRecord, now: UnixMillis): boolean {
  const [left, right] = [urgency(a, now), urgency(b, now)];
  return left === right ? breaksTie(a, b) : left < right;
}

/** S55 by one of the ends, within a lane: does not change with time. */
const byKey =
  (key: (record: OfferRecord) => number) =>
  (a: OfferRecord, b: OfferRecord): boolean => {
    const [left, right] = [key(a), key(b)];
    return left === right ? breaksTie(a, b) : left < right;
  };
export const nightBefore = byKey(({ alone }) => -alone);
export const datedBefore = byKey(({ before, alone }) => before - alone);
export const leavingBefore = byKey(({ client, alone }) => client.leaves! - alone);

/** S56: who is due first, whatever the windows are. */
export function dueBefore(a: OfferRecord, b: OfferRecord): boolean {
  return a.due === b.due ? breaksTie(a, b) : a.due < b.due;
}

function breaksTie(a: OfferRecord, b: OfferRecord): boolean {
  if (a.age !== b.age) return a.age < b.age;
  if (a.begun !== b.begun) return a.begun;
  if (a.alone !== b.alone) return a.alone > b.alone;
  if (a.offer.bytes !== b.offer.bytes) return a.offer.bytes < b.offer.bytes;
  return a.offer.snapshot < b.offer.snapshot;
}
