import type { ClientId } from '../model/ids.ts';
import { DAY_MS, HOUR_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import type { PlannedOffer } from './plan.ts';
import type { ClientRecord, LineRecord, OfferRecord, PlannerState, Run } from './records.ts';
import { sharedUntil } from './tracks.ts';

/** Taken for a client of which nothing is known, where nothing limits it either. */
export const GUESSED_RATE = 10_000_000;
/** How much a new sample counts beside all that were before: a slow moment says less about a client than a fast one. */
const FASTER_WEIGHT = 0.3;
const SLOWER_WEIGHT = 0.1;
/** Shorter ones say more about round trips than about the line. */
const SAMPLE_MS = 2 * SECOND_MS;
/** Below this part of what it may use, it is the client that cannot go faster. */
const HELD_BACK = 0.8;
/** Shorter connections were broken off; who stays longer than the second is there all day. */
const SESSION_MS = 10 * 60 * SECOND_MS;
const LASTING_MS = 20 * HOUR_MS;
/** Of what an offer is expected to take. Who has a little less time may make it all the same. */
const SURE = 0.8;
/** When what was learnt of a line has changed by this much, its offers are estimated anew. */
const ANOTHER = 1.25;
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

/** The transfer has begun to send: from here on its pace is measured. */
export function beginSample(run: Run, bytes: number, now: UnixMillis): void {
  run.sample = { at: now, bytes, lowest: run.rate ?? Infinity };
}

/** What is granted has changed in the middle of a sample. */
export function noteRate(run: Run): void {
  const { sample, rate } = run;
  if (sample !== null) run.sample = { ...sample, lowest: Math.min(sample.lowest, rate ?? Infinity) };
}

/** Learns from what a transfer did until now. `bytes` remain. */
export function takeSample(state: PlannerState, run: Run, bytes: number): void {
  const { sample, client } = run;
  if (sample === null) return;
  const elapsed = state.now - sample.at;
  if (elapsed < 0) return beginSample(run, bytes, state.now);
  if (elapsed < SAMPLE_MS) return;
  const seen = ((sample.bytes - bytes) / elapsed) * SECOND_MS;
  beginSample(run, bytes, state.now);
  if (seen <= 0) return;
  const known = state.learnt.clients.get(client.id);
  if (seen < HELD_BACK * sample.lowest) learn(state, client.id, client.line.name, seen);
  // It was the grant that held it back: it can do this at least.
  else if (known !== undefined && seen > known) state.learnt.clients.set(client.id, seen);
}

/** What one client of a line was seen to be able to send. */
export function learn({ learnt }: PlannerState, client: ClientId, line: string | null, seen: number): void {
  learnt.clients.set(client, blend(learnt.clients.get(client), seen));
  learnt.lines.set(line, blend(learnt.lines.get(line), seen));
}

/** Whether what is known of a line has changed so much that its offers have to be estimated anew. Asked once. */
export function isLearntAnew({ learnt }: PlannerState, line: string | null): boolean {
  const [known, basis] = [learnt.lines.get(line), learnt.bases.get(line)];
  if (known === undefined) return false;
  if (basis !== undefined && known <= basis * ANOTHER && known >= basis / ANOTHER) return false;
  learnt.bases.set(line, known);
  return true;
}

/** From how long it used to stay (S67); null if that says nothing. */
export function expectedLeave({ learnt }: PlannerState, { id, since }: ClientRecord): UnixMillis | null {
  const session = learnt.sessions.get(id);
  return session === undefined || session > LASTING_MS ? null : since + session;
}

/** The client goes: how long did it stay? */
export function learnSession({ learnt, now }: PlannerState, { id, since }: ClientRecord): void {
  const stayed = now - since;
  if (stayed >= SESSION_MS) learnt.sessions.set(id, blend(learnt.sessions.get(id), stayed));
}

function blend(known: number | undefined, seen: number): number {
  if (known === undefined) return seen;
  return known + (seen > known ? FASTER_WEIGHT : SLOWER_WEIGHT) * (seen - known);
}
