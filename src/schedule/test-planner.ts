import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { CenterConditions, Grant, PlannedOffer, PlannerEvent, ReasonCode, StopCode } from './plan.ts';
import { isOpen, nextInterval, nextShared, type Interval, type Windows } from './windows.ts';

interface Known {
  offer: PlannedOffer;
  failures: number;
  retryAt: UnixMillis | null;
}

interface Run {
  readonly offer: PlannedOffer;
  phase: 'ordered' | 'running' | 'stopping';
  progressed: boolean;
}

/** The planner's rules for tests, done the slow way: at every event it looks at everything anew. */
export class SlowPlanner {
  readonly offers = new Map<SnapshotId, Known>();
  readonly runs = new Map<SnapshotId, Run>();
  readonly online = new Set<ClientId>();
  conditions: CenterConditions;
  #now = 0;
  readonly #shared = new Map<string, Interval | null>();

  constructor(conditions: CenterConditions) {
    this.conditions = conditions;
  }

  /** @returns the stops in any order, then the starts in theirs */
  step(event: PlannerEvent, now: UnixMillis): Grant[] {
    const stops = new Map<SnapshotId, Grant>();
    if (now < this.#now) this.#turnBack(now);
    this.#now = now;
    for (const known of this.offers.values()) if ((known.retryAt ?? Infinity) <= now) known.retryAt = null;
    this.#stopWhere(stops, (offer) => this.#closedSide(offer));
    this.#take(event, stops);
    this.#stopWhere(stops, (offer) => (this.offers.has(offer.snapshot) ? this.#closedSide(offer) : null));
    this.#stopSurplus(stops);
    return [...stops.values(), ...this.#starts()];
  }

  #turnBack(now: UnixMillis): void {
    for (const known of this.offers.values()) {
      if (known.retryAt !== null) known.retryAt = Math.min(known.retryAt, now + 3_600_000);
    }
  }

  #stopWhere(stops: Map<SnapshotId, Grant>, why: (offer: PlannedOffer) => StopCode | null): void {
    for (const run of this.runs.values()) {
      const { snapshot, client } = run.offer;
      const code = run.phase === 'stopping' ? null : why(this.offers.get(snapshot)?.offer ?? run.offer);
      if (code === null) continue;
      run.phase = 'stopping';
      stops.set(snapshot, { kind: 'stop', snapshot, client, code });
    }
  }

  #sharedWith(windows: Windows): Interval | null {
    const key = [windows.text, this.conditions.windows.text, this.#now].join('\n');
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const found = nextShared([windows, this.conditions.windows], this.#now);
    this.#shared.set(key, found);
    return found;
  }

  #closedSide(offer: PlannedOffer): 'client-window' | 'center-window' | null {
    if (!isOpen(offer.windows, this.#now)) return 'client-window';
    return isOpen(this.conditions.windows, this.#now) ? null : 'center-window';
  }

  #take(event: PlannerEvent, stops: Map<SnapshotId, Grant>): void {
    const stop = (match: (offer: PlannedOffer) => boolean, code: StopCode): void =>
      this.#stopWhere(stops, (offer) => (match(offer) ? code : null));
    if (event.kind === 'offered') {
      const { offer } = event;
      const known = this.offers.get(offer.snapshot);
      if (known !== undefined) known.offer = { ...offer, offeredAt: known.offer.offeredAt };
      else this.offers.set(offer.snapshot, { offer, failures: 0, retryAt: null });
      if (known === undefined) {
        stop(
          (other) =>
            this.offers.has(other.snapshot) &&
            this.#first(other) === offer.snapshot &&
            other.snapshot !== offer.snapshot,
          'after-predecessor',
        );
      }
    } else if (event.kind === 'withdrawn') {
      stop(({ snapshot }) => snapshot === event.snapshot, 'withdrawn');
      this.offers.delete(event.snapshot);
    } else if (event.kind === 'online') this.online.add(event.client);
    else if (event.kind === 'offline') {
      this.online.delete(event.client);
      stop(({ client }) => client === event.client, 'client-offline');
    } else if (event.kind === 'conditions') this.conditions = event.conditions;
    else this.#takeTransfer(event);
  }

  #takeTransfer(event: PlannerEvent): void {
    if (event.kind !== 'started' && event.kind !== 'progress' && event.kind !== 'ended') return;
    const run = this.runs.get(event.snapshot);
    const known = this.offers.get(event.snapshot);
    if (event.kind === 'started') {
      if (run?.phase === 'ordered') run.phase = 'running';
    } else if (event.kind === 'progress') {
      if (known === undefined) return;
      if (run !== undefined && event.bytes < known.offer.bytes) run.progressed = true;
      known.offer = { ...known.offer, bytes: event.bytes };
    } else {
      this.runs.delete(event.snapshot);
      if (event.outcome === 'committed') this.offers.delete(event.snapshot);
      else if (known !== undefined && run !== undefined)
        this.#backOff(known, run, event.outcome === 'failed');
    }
  }

  #backOff(known: Known, run: Run, failed: boolean): void {
    if (run.progressed) known.failures = 0;
    if (failed) {
      known.failures++;
      known.retryAt = this.#now + Math.min(30_000 * 2 ** (known.failures - 1), 3_600_000);
    } else if (run.phase !== 'stopping') known.retryAt = this.#now + 30_000;
  }

  #queueOf({ client, job }: PlannedOffer): PlannedOffer[] {
    const same = [...this.offers.values()].map(({ offer }) => offer);
    return same
      .filter((offer) => offer.client === client && offer.job === job)
      .sort((a, b) => a.sequence - b.sequence || (a.snapshot < b.snapshot ? -1 : 1));
  }

  #first(offer: PlannedOffer): SnapshotId | undefined {
    return this.#queueOf(offer)[0]?.snapshot;
  }

  /** Sorted as they would be started. */
  #inOrder(offers: PlannedOffer[]): PlannedOffer[] {
    const ends = new Map(offers.map((offer) => [offer, this.#sharedWith(offer.windows)?.end ?? Infinity]));
    return offers.sort((a, b) => {
      const [endA, endB] = [ends.get(a)!, ends.get(b)!];
      if (endA !== endB) return endA - endB;
      return a.offeredAt - b.offeredAt || (a.snapshot < b.snapshot ? -1 : 1);
    });
  }

  #stopSurplus(stops: Map<SnapshotId, Grant>): void {
    const going = [...this.runs.values()].filter(({ phase }) => phase !== 'stopping');
    const order = this.#inOrder(going.map(({ offer }) => this.offers.get(offer.snapshot)!.offer));
    const surplus = new Set(order.slice(this.conditions.streams).map(({ snapshot }) => snapshot));
    // While enough others are stopping, the ones that go on may be as many as the streams all the same.
    this.#stopWhere(stops, ({ snapshot }) => (surplus.has(snapshot) ? 'streams-busy' : null));
  }

  #eligible(): PlannedOffer[] {
    const busy = new Set([...this.runs.values()].map(({ offer }) => offer.client));
    const candidates = [...this.offers.values()].filter(
      ({ offer, retryAt }) =>
        retryAt === null &&
        this.online.has(offer.client) &&
        !busy.has(offer.client) &&
        this.#closedSide(offer) === null &&
        this.#first(offer) === offer.snapshot,
    );
    return this.#inOrder(candidates.map(({ offer }) => offer));
  }

  #starts(): Grant[] {
    const starts: Grant[] = [];
    while (this.runs.size < this.conditions.streams) {
      const offer = this.#eligible()[0];
      if (offer === undefined) break;
      const { snapshot, client, windows } = offer;
      this.runs.set(snapshot, { offer, phase: 'ordered', progressed: false });
      const until = this.#sharedWith(windows)!.end;
      starts.push({ kind: 'start', snapshot, client, until });
    }
    return starts;
  }

  reasonCode(snapshot: SnapshotId): ReasonCode {
    const { offer, retryAt } = this.offers.get(snapshot)!;
    const phase = this.runs.get(snapshot)?.phase;
    if (phase === 'running') return 'running';
    if (phase === 'ordered') return 'next';
    if (this.#closedSide(offer) !== null) return this.#waitsForWindow(offer);
    if (!this.online.has(offer.client)) return 'client-offline';
    if (this.#first(offer) !== snapshot) return 'after-predecessor';
    if (retryAt !== null) return 'backing-off';
    const others = [...this.runs.values()].filter((run) => run.offer.snapshot !== snapshot);
    if (others.some((run) => run.offer.client === offer.client)) return 'client-busy';
    const next = this.conditions.streams > 0 ? this.#eligible()[0] : undefined;
    return next?.snapshot === snapshot ? 'next' : 'streams-busy';
  }

  #waitsForWindow({ windows }: PlannedOffer): ReasonCode {
    const shared = this.#sharedWith(windows);
    if (shared === null) return 'no-shared-window';
    return nextInterval(windows, shared.start)!.start === shared.start ? 'client-window' : 'center-window';
  }
}
