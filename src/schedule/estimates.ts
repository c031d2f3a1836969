import { DAY_MS, HOUR_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import type { PlannedOffer } from './plan.ts';
import type { ClientRecord, LineRecord, OfferRecord, PlannerState } from './records.ts';
import { sharedUntil } from './tracks.ts';

/** Taken for a client of which nothing is known, where nothing limits it either. */
export const GUESSED_RATE = 10_000_000;
/** Of what an offer is expected to take. Who has a little less time may make it all the same. */
const SURE = 0.8;
/** A deadline further away than this counts as this far away: shared time is counted for five weeks (S16). */
const FURTHEST_MS = 28 * DAY_MS;
/** An offer without deadline is overdue after this, counted from the quarter of the day in which it came. */
const OVERDUE_MS = DAY_MS + 6 * HOUR_MS;

/** What one client may use now by the conditions; infinite without limit. */
export function clientCap({ conditions, rates }: PlannerState, client: ClientRecord): number {
  const plan = conditions.clientRates.get(client.id) ?? conditions.clientRate;
  if (plan.rows.length === 0) return Infinity;
  return rates.get(plan.text)!.bytesPerSecond ?? Infinity;
}

/** What all transfers over a line may use now while nobody restores; infinite without limit. */
function lineCap({ total }: PlannerState, { cap }: LineRecord): number {
  return Math.min(cap.bytesPerSecond ?? Infinity, total.bytesPerSecond ?? Infinity);
}

/** What the client is thought to be able to send: seen from it, else from others of its line, else infinite. */
export function ability({ learnt }: PlannerState, client: ClientRecord): number {
  return learnt.clients.get(client.id) ?? learnt.lines.get(client.line.name) ?? Infinity;
}

/**
 * S54: works out anew how long an offer is expected to take, by when it has to be collected and when it is overdue. The
 * caller takes it out of its lane before, and puts it back after.
 */
export function estimate(state: PlannerState, record: OfferRecord): void {
  const { offer, client } = record;
  const cap = lineCap(state, client.line);
  const fastest = Math.min(ability(state, client), clientCap(state, client), cap);
  const rate = fastest === Infinity ? GUESSED_RATE : fastest;
  record.expected = Math.ceil((offer.bytes / rate) * SECOND_MS);
  record.needed = Math.floor(record.expected * SURE);
  // What fills its line by itself can wait as long as the others on it need: nobody else could use the time meanwhile. What
  // fills a part of it is seldom alone there, so the part counts less than it is.
  record.alone = Math.round(record.expected * (1 - widthOf(state, rate, cap) ** 2));
  const deadline = deadlineOf(offer);
  record.due = deadline ?? record.age + OVERDUE_MS;
  record.deadline =
    deadline === null ? null : Math.max(state.now, Math.min(deadline, state.now + FURTHEST_MS));
  countShared(state, record);
}

/**
 * The part of what it shares that a transfer fills by itself. What is short is the line, or, where the center cannot
 * take what all lines carry, now the one and now the other.
 */
function widthOf({ total, takes }: PlannerState, rate: number, cap: number): number {
  const center = total.bytesPerSecond ?? Infinity;
  return takes * Math.min(1, rate / cap) + (1 - takes) * Math.min(1, rate / center);
}

/** The shared time before its deadline, by its track's timeline. */
export function countShared(state: PlannerState, record: OfferRecord): void {
  const { deadline, track } = record;
  record.before = deadline === null ? 0 : sharedUntil(track, state.conditions.windows, deadline, state.now);
}

function deadlineOf({ deadline, target, lastCollected, offeredAt }: PlannedOffer): UnixMillis | null {
  if (deadline !== null || target === null) return deadline;
  return (lastCollected ?? offeredAt) + target;
}
