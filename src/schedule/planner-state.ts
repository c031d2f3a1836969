import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { heapAdd, heapRemove, heapTop, newHeap, type Heap } from './heap.ts';
import type { CenterConditions, PlannedOffer } from './plan.ts';
import { newTracks, type Track, type Tracks } from './tracks.ts';

/**
 * Everything the planner knows. Only planner code looks inside. It is owned: `step` changes it in place and gives it
 * back, so whoever has passed a state to `step` must go on with the one returned and keep no other. It is plain data:
 * `structuredClone(state)` is an independent copy, for a forecast (S41).
 */
export interface PlannerState {
  conditions: CenterConditions;
  now: UnixMillis;
  readonly offers: Map<SnapshotId, OfferRecord>;
  /** Those that are online, have offers, or hold a stream. */
  readonly clients: Map<ClientId, ClientRecord>;
  /** Every one holds a stream. */
  readonly runs: Map<SnapshotId, Run>;
  readonly tracks: Tracks<OfferRecord>;
  /** Offers that are backing off, by when that ends. */
  readonly retries: Heap<OfferRecord>;
  /** Clients with something to start at once, by their best offer. */
  readonly startable: Heap<ClientRecord>;
}

export interface OfferRecord {
  offer: PlannedOffer;
  readonly client: ClientRecord;
  track: Track<OfferRecord>;
  /** End of the shared interval as of the last `settle`: what the order goes by. Null comes last. */
  closes: UnixMillis | null;
  failures: number;
  retryAt: UnixMillis | null;
}

export interface ClientRecord {
  readonly id: ClientId;
  online: boolean;
  run: Run | null;
  /** By job; in ascending sequence. Only the first of each may travel. */
  readonly queues: Map<string, OfferRecord[]>;
  /** Offers that could travel if the client were online and free. */
  readonly ready: Heap<OfferRecord>;
}

export interface Run {
  readonly snapshot: SnapshotId;
  readonly client: ClientRecord;
  /** `stopping`: a stop grant has gone out, `ended` has not come yet. */
  phase: 'ordered' | 'running' | 'stopping';
  /** Fewer bytes remain than when it was ordered. */
  progressed: boolean;
}

/** A planner that knows of no offer and takes every client to be offline. */
export function newPlanner(conditions: CenterConditions, now: UnixMillis): PlannerState {
  return {
    conditions,
    now,
    offers: new Map(),
    clients: new Map(),
    runs: new Map(),
    tracks: newTracks(),
    retries: newHeap(),
    startable: newHeap(),
  };
}

/** S45: earliest end of the shared time first, then oldest offer, then snapshot id. */
export function goesBefore(a: OfferRecord, b: OfferRecord): boolean {
  const [endA, endB] = [a.closes ?? Infinity, b.closes ?? Infinity];
  if (endA !== endB) return endA < endB;
  if (a.offer.offeredAt !== b.offer.offeredAt) return a.offer.offeredAt < b.offer.offeredAt;
  return a.offer.snapshot < b.offer.snapshot;
}

const retriesBefore = (a: OfferRecord, b: OfferRecord): boolean => a.retryAt! < b.retryAt!;

const startsBefore = (a: ClientRecord, b: ClientRecord): boolean =>
  goesBefore(heapTop(a.ready)!, heapTop(b.ready)!);

export function clientOf(state: PlannerState, id: ClientId): ClientRecord {
  let client = state.clients.get(id);
  if (client === undefined) {
    client = { id, online: false, run: null, queues: new Map(), ready: newHeap() };
    state.clients.set(id, client);
  }
  return client;
}

export function dropIdleClient(state: PlannerState, client: ClientRecord): void {
  if (!client.online && client.run === null && client.queues.size === 0) state.clients.delete(client.id);
}

/** Runs `change` while the client is out of every order that `change` might disturb. */
export function rearrange(state: PlannerState, client: ClientRecord, change: () => void): void {
  heapRemove(state.startable, client, startsBefore);
  change();
  if (client.online && client.run === null && client.ready.items.length > 0) {
    heapAdd(state.startable, client, startsBefore);
  }
}

/** Puts an offer where it belongs after anything about it has changed. */
export function settle(state: PlannerState, record: OfferRecord): void {
  const { client, track } = record;
  rearrange(state, client, () => {
    heapRemove(client.ready, record, goesBefore);
    record.closes = track.standing.open ? track.standing.until : null;
    const running = state.runs.has(record.offer.snapshot);
    const ready = isFirst(record) && track.standing.open && record.retryAt === null && !running;
    if (ready) heapAdd(client.ready, record, goesBefore);
  });
}

export function setRetry(state: PlannerState, record: OfferRecord, retryAt: UnixMillis | null): void {
  heapRemove(state.retries, record, retriesBefore);
  record.retryAt = retryAt;
  if (retryAt !== null) heapAdd(state.retries, record, retriesBefore);
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
