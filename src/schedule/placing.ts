import type { ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { heapAdd, heapRemove, type Heap } from './heap.ts';
import { enterLane, leaveLane } from './lanes.ts';
import { joinLine, quitLine } from './loads.ts';
import type { CenterConditions, PlannedOffer } from './plan.ts';
import { rateAt } from './rate-plan.ts';
import type { ClientRecord, LineRecord, OfferRecord, PlannerState } from './records.ts';
import type { Work } from './work.ts';

export function lineOf(state: PlannerState, name: string | null): LineRecord {
  let line = state.lines.get(name);
  if (line === undefined) {
    line = {
      name,
      clients: 0,
      open: new Set(),
      runs: new Set(),
      restores: 0,
      cap: capOf(state, name),
      best: null,
      load: 0,
      beside: 0,
      unseen: 0,
      pace: undefined,
      slackest: -Infinity,
      slackUntil: Infinity,
    };
    state.lines.set(name, line);
  }
  return line;
}

/** What the conditions allow on a line now. */
function capOf({ conditions, now }: PlannerState, name: string | null): LineRecord['cap'] {
  const plan = name === null ? undefined : conditions.lines.get(name);
  return plan === undefined ? { bytesPerSecond: null, until: null } : rateAt(plan, now);
}

/** Works out anew what the conditions allow now, and until when. @returns whether anything has changed */
export function refreshRates(state: PlannerState): boolean {
  const { conditions, now } = state;
  const known = new Map<string, LineRecord['cap']>();
  const plans = [conditions.rate, conditions.clientRate, ...conditions.clientRates.values()];
  for (const plan of [...plans, ...conditions.lines.values()]) {
    if (!known.has(plan.text)) known.set(plan.text, rateAt(plan, now));
  }
  state.rates = known;
  state.total = known.get(conditions.rate.text)!;
  for (const line of state.lines.values()) {
    const plan = line.name === null ? undefined : conditions.lines.get(line.name);
    line.cap = plan === undefined ? { bytesPerSecond: null, until: null } : known.get(plan.text)!;
  }
  state.takes = partTaken(conditions, known);
  state.ratesUntil = Math.min(...[...known.values()].map(({ until }) => until ?? Infinity));
  const before = state.ratesNow;
  state.ratesNow = [...known].map(([text, { bytesPerSecond }]) => `${text}: ${bytesPerSecond}`).join('\n');
  return state.ratesNow !== before;
}

function partTaken({ rate, lines }: CenterConditions, known: ReadonlyMap<string, LineRecord['cap']>): number {
  let sum = 0;
  for (const { text } of lines.values()) sum += known.get(text)!.bytesPerSecond ?? 0;
  return sum === 0 ? 1 : Math.min(1, (known.get(rate.text)!.bytesPerSecond ?? Infinity) / sum);
}

export function dropIdleLine(state: PlannerState, line: LineRecord): void {
  if (line.clients === 0 && line.restores === 0) state.lines.delete(line.name);
}

/** @param line of a client that is not known yet */
export function clientOf(state: PlannerState, id: ClientId, line: string | null): ClientRecord {
  let client = state.clients.get(id);
  if (client === undefined) {
    client = {
      id,
      line: lineOf(state, line),
      online: false,
      since: state.now,
      leaves: null,
      run: null,
      queues: new Map(),
      absences: 0,
      offences: 0,
      pausePlace: -1,
      pause: null,
    };
    client.line.clients++;
    state.clients.set(id, client);
  }
  return client;
}

/** Its rates that were learnt stay. One that is gone already must not be counted off its line again. */
export function dropIdleClient(state: PlannerState, client: ClientRecord): void {
  if (client.online || client.run !== null || client.queues.size > 0 || client.pause !== null) return;
  if (state.clients.get(client.id) !== client) return;
  state.clients.delete(client.id);
  client.line.clients--;
  dropIdleLine(state, client.line);
}

/** The client comes by this line now, also with what it is sending: then rates on both lines are others. */
export function moveClient({ state, touched }: Work, client: ClientRecord, name: string | null): void {
  if (client.line.name === name) return;
  for (const queue of client.queues.values()) leaveLane(state, queue[0]!);
  const old = client.line;
  client.line = lineOf(state, name);
  client.line.clients++;
  if (client.run !== null) {
    quitLine(state, old, client.run);
    joinLine(state, client.line, client.run);
    touched.add(old).add(client.line);
  }
  old.clients--;
  dropIdleLine(state, old);
  placeClient(state, client);
}

/** Puts an offer where it belongs after anything about it or its client has changed. */
export function place(state: PlannerState, record: OfferRecord): void {
  const { client, retryAt, lane } = record;
  const free = client.online && client.run === null && client.pause === null;
  const ready = free && !state.heldBack.has(client.id) && retryAt === null && isFirst(record);
  if (ready && lane === null) enterLane(state, record);
  if (!ready) leaveLane(state, record);
}

export function placeClient(state: PlannerState, client: ClientRecord): void {
  for (const queue of client.queues.values()) place(state, queue[0]!);
}

/** Makes a change that the order in its lane depends on. */
export function replace(state: PlannerState, record: OfferRecord, change: () => void): void {
  leaveLane(state, record);
  change();
  place(state, record);
}

const retriesBefore = (a: OfferRecord, b: OfferRecord): boolean => a.retryAt! < b.retryAt!;
const pausesBefore = (a: ClientRecord, b: ClientRecord): boolean => a.pause!.until < b.pause!.until;

export function setRetry(state: PlannerState, record: OfferRecord, retryAt: UnixMillis | null): void {
  change(state.retries, record, retriesBefore, () => (record.retryAt = retryAt), retryAt !== null);
}

export function setPause(state: PlannerState, client: ClientRecord, pause: ClientRecord['pause']): void {
  change(state.pauses, client, pausesBefore, () => (client.pause = pause), pause !== null);
}

function change<Item extends object>(
  heap: Heap<Item>,
  item: Item,
  before: (a: Item, b: Item) => boolean,
  apply: () => void,
  stays: boolean,
): void {
  heapRemove(heap, item, before);
  apply();
  if (stays) heapAdd(heap, item, before);
}

export function isFirst(record: OfferRecord): boolean {
  return record.client.queues.get(record.offer.job)?.[0] === record;
}

/** Puts it into its job's queue. */
export function enqueue(record: OfferRecord): void {
  const { queues } = record.client;
  const queue = queues.get(record.offer.job) ?? [];
  queues.set(record.offer.job, queue);
  queue.splice(placeIn(queue, record.offer), 0, record);
}

/** Takes it out of its job's queue. @returns the offer that is first now, if there is one */
export function dequeue(record: OfferRecord): OfferRecord | undefined {
  const { queues } = record.client;
  const queue = queues.get(record.offer.job)!;
  queue.splice(placeIn(queue, record.offer), 1);
  if (queue.length === 0) queues.delete(record.offer.job);
  return queue[0];
}

/** Where it is, or where it would have to be put: how many of the queue precede it. */
function placeIn(queue: readonly OfferRecord[], offer: PlannedOffer): number {
  let [low, high] = [0, queue.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (precedes(queue[middle]!.offer, offer)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function precedes(a: PlannedOffer, b: PlannedOffer): boolean {
  return a.sequence === b.sequence ? a.snapshot < b.snapshot : a.sequence < b.sequence;
}
