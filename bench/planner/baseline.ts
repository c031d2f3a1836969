import type { ClientId, SnapshotId } from '../../src/model/ids.ts';
import type { UnixMillis } from '../../src/model/time.ts';
import { heapAdd, heapRemove, heapTop, newHeap, type Heap } from '../../src/schedule/heap.ts';
import type { Grant, PlannedOffer, PlannerEvent, Rate } from '../../src/schedule/plan.ts';
import { intersect, type Span } from '../../src/schedule/spans.ts';
import { intervalsBetween } from '../../src/schedule/windows.ts';
import type { Controller, Decision } from '../../src/simulate/controller.ts';
import type { Fleet } from '../../src/simulate/fleet.ts';

/** A snapshot that waits or travels under a baseline. */
export interface Waiting {
  readonly offer: PlannedOffer;
  readonly track: Track;
  /** Not before this: jitter, offsets, chance, back-off. */
  notBefore: UnixMillis;
  running: boolean;
  done: boolean;
  left: number;
  /** What it is sorted by: less first. */
  key: number;
  turn: number;
  /** Places in the heaps. */
  readyPlace: number;
  laterPlace: number;
}

/** Those with the same windows: when they and the center are open together. */
export interface Track {
  readonly spans: readonly Span[];
  open: boolean;
  /** The interval that is open now, else the next one. */
  current: Span | null;
  readonly members: Set<Waiting>;
}

/** How a baseline decides. All are given what they would know at best, and transfers that go on where they stopped. */
export interface Rules {
  /** Transfers at the same time; Infinity: as many as like to. */
  readonly slots: number;
  /** What a waiting one is sorted by; less first. Oldest first if it is the same. */
  readonly key: (waiting: Waiting, now: UnixMillis) => number;
  /** When a snapshot may start at first, after it is ready and its windows have opened. */
  readonly notBefore?: (waiting: Waiting, span: Span, now: UnixMillis) => UnixMillis;
  /** Whether there is room for it beside those that are running. */
  readonly fits?: (waiting: Waiting, running: ReadonlySet<Waiting>) => boolean;
  /** A fixed rate for each, in bytes per second. */
  readonly rate?: (waiting: Waiting) => number;
  /** Takes the slot of whoever is last when another should be first. */
  readonly preempts?: boolean;
  /** Clients' windows are not looked at. */
  readonly ignoresClientWindows?: boolean;
}

export class Baseline implements Controller {
  readonly #rules: Rules;
  readonly #fleet: Fleet;
  readonly #tracks = new Map<string, Track>();
  readonly #waiting = new Map<SnapshotId, Waiting>();
  readonly #byClient = new Map<ClientId, Set<Waiting>>();
  readonly #online = new Set<ClientId>();
  readonly #busy = new Set<ClientId>();
  readonly #running = new Set<Waiting>();
  readonly #stopping = new Set<Waiting>();
  readonly #parked = new Map<string | null, Waiting[]>();
  readonly #ready: Heap<Waiting> = newHeap('readyPlace');
  readonly #later: Heap<Waiting> = newHeap('laterPlace');
  #turn = 0;
  #grants: Grant[] = [];
  #rates: Rate[] = [];

  constructor(fleet: Fleet, rules: Rules) {
    this.#fleet = fleet;
    this.#rules = rules;
  }

  tell(event: PlannerEvent, now: UnixMillis): Decision {
    this.#grants = [];
    this.#rates = [];
    this.#turnTracks(now);
    this.#take(event, now);
    for (
      let next = heapTop(this.#later);
      next !== undefined && next.notBefore <= now;
      next = heapTop(this.#later)
    ) {
      heapRemove(this.#later, next, sooner);
      this.#settle(next, now);
    }
    this.#start(now);
    const changes = [...this.#tracks.values()].map(({ open, current }) =>
      current === null ? Infinity : open ? current.end : current.start,
    );
    const nextChange = Math.min(heapTop(this.#later)?.notBefore ?? Infinity, ...changes);
    return {
      grants: this.#grants,
      rates: this.#rates,
      nextChange: nextChange === Infinity ? null : Math.ceil(nextChange),
    };
  }

  #turnTracks(now: UnixMillis): void {
    for (const track of this.#tracks.values()) {
      const current = track.spans.find(({ end }) => end > now) ?? null;
      const open = current !== null && current.start <= now;
      if (open === track.open && current === track.current) continue;
      Object.assign(track, { open, current });
      for (const waiting of track.members) {
        if (open) this.#hold(waiting, now);
        else if (waiting.running) this.#stop(waiting, 'client-window');
        this.#settle(waiting, now);
      }
    }
  }

  /** Says when it may start in the interval that has begun. */
  #hold(waiting: Waiting, now: UnixMillis): void {
    const span = waiting.track.current;
    if (span === null || waiting.left < waiting.offer.bytes) return;
    waiting.notBefore = this.#rules.notBefore?.(waiting, span, now) ?? now;
  }

  #take(event: PlannerEvent, now: UnixMillis): void {
    if (event.kind === 'offered') return this.#offer(event.offer, now);
    if (event.kind === 'online' || event.kind === 'offline') {
      if (event.kind === 'online') this.#online.add(event.client);
      else this.#online.delete(event.client);
      for (const waiting of this.#byClient.get(event.client) ?? []) {
        if (waiting.running && event.kind === 'offline') this.#stop(waiting, 'client-offline');
        this.#settle(waiting, now);
      }
      return;
    }
    if (event.kind === 'progress') {
      const waiting = this.#waiting.get(event.snapshot);
      if (waiting !== undefined) waiting.left = event.bytes;
    }
    if (event.kind === 'ended') this.#end(event.snapshot, event.outcome, now);
  }

  #offer(offer: PlannedOffer, now: UnixMillis): void {
    const track = this.#trackFor(offer, now);
    const turn = this.#turn++;
    const waiting: Waiting = {
      offer,
      track,
      notBefore: now,
      running: false,
      done: false,
      left: offer.bytes,
      key: 0,
      turn,
      readyPlace: -1,
      laterPlace: -1,
    };
    track.members.add(waiting);
    this.#waiting.set(offer.snapshot, waiting);
    const own = this.#byClient.get(offer.client) ?? new Set();
    this.#byClient.set(offer.client, own.add(waiting));
    if (track.open) this.#hold(waiting, now);
    this.#settle(waiting, now);
  }

  #trackFor({ windows }: PlannedOffer, now: UnixMillis): Track {
    const known = this.#tracks.get(windows.text);
    if (known !== undefined) return known;
    const { from, until, conditions } = this.#fleet;
    const center = intervalsBetween(conditions.windows, from, until + 86_400_000);
    const spans = this.#rules.ignoresClientWindows
      ? center
      : intersect(center, intervalsBetween(windows, from, until + 86_400_000));
    const current = spans.find(({ end }) => end > now) ?? null;
    const open = current !== null && current.start <= now;
    const track: Track = { spans, open, current, members: new Set() };
    this.#tracks.set(windows.text, track);
    return track;
  }

  /** A client sends one snapshot at a time. */
  #setBusy(client: ClientId, busy: boolean, now: UnixMillis): void {
    if (busy) this.#busy.add(client);
    else this.#busy.delete(client);
    const own = this.#byClient.get(client);
    if (own === undefined || own.size < 2) return;
    for (const each of own) if (!each.running) this.#settle(each, now);
  }

  #settle(waiting: Waiting, now: UnixMillis): void {
    heapRemove(this.#ready, waiting, before);
    heapRemove(this.#later, waiting, sooner);
    if (this.#busy.has(waiting.offer.client)) return;
    if (waiting.done || waiting.running || !waiting.track.open || !this.#online.has(waiting.offer.client))
      return;
    if (waiting.notBefore > now) return heapAdd(this.#later, waiting, sooner);
    waiting.key = this.#rules.key(waiting, now);
    heapAdd(this.#ready, waiting, before);
  }

  #start(now: UnixMillis): void {
    const { slots, fits, rate, preempts = false } = this.#rules;
    for (let next = heapTop(this.#ready); next !== undefined; next = heapTop(this.#ready)) {
      if (this.#running.size >= slots && !(preempts && this.#makeRoom(next, now))) break;
      heapRemove(this.#ready, next, before);
      if (fits?.(next, this.#running) === false) {
        // It is looked at again when something on its line has ended.
        const line = next.offer.line;
        const parked = this.#parked.get(line);
        if (parked === undefined) this.#parked.set(line, [next]);
        else parked.push(next);
        continue;
      }
      next.running = true;
      this.#setBusy(next.offer.client, true, now);
      this.#running.add(next);
      const { snapshot, client } = next.offer;
      this.#grants.push({ kind: 'start', snapshot, client, until: null });
      if (rate !== undefined) this.#rates.push({ snapshot, bytesPerSecond: rate(next) });
    }
  }

  /** Stops whoever is last if this one comes before it; its slot is free when it has ended. */
  #makeRoom(next: Waiting, now: UnixMillis): boolean {
    if (this.#stopping.size > 0) return false;
    let last: Waiting | undefined;
    for (const waiting of this.#running) {
      waiting.key = this.#rules.key(waiting, now);
      if (last === undefined || before(last, waiting)) last = waiting;
    }
    if (last !== undefined && before(next, last)) this.#stop(last, 'more-urgent');
    return false;
  }

  #stop(waiting: Waiting, code: 'client-window' | 'client-offline' | 'more-urgent'): void {
    if (this.#stopping.has(waiting)) return;
    this.#stopping.add(waiting);
    const { snapshot, client } = waiting.offer;
    this.#grants.push({ kind: 'stop', snapshot, client, code });
  }

  #end(snapshot: SnapshotId, outcome: 'committed' | 'paused' | 'failed', now: UnixMillis): void {
    const waiting = this.#waiting.get(snapshot)!;
    waiting.running = false;
    waiting.done = outcome === 'committed';
    this.#running.delete(waiting);
    this.#stopping.delete(waiting);
    this.#setBusy(waiting.offer.client, false, now);
    if (waiting.done) {
      waiting.track.members.delete(waiting);
      this.#byClient.get(waiting.offer.client)!.delete(waiting);
    } else if (outcome === 'failed') waiting.notBefore = now + 30_000;
    this.#settle(waiting, now);
    const parked = this.#parked.get(waiting.offer.line) ?? [];
    this.#parked.delete(waiting.offer.line);
    for (const each of parked) this.#settle(each, now);
  }
}

function before(a: Waiting, b: Waiting): boolean {
  return a.key === b.key ? a.turn < b.turn : a.key < b.key;
}

function sooner(a: Waiting, b: Waiting): boolean {
  return a.notBefore === b.notBefore ? a.turn < b.turn : a.notBefore < b.notBefore;
}
