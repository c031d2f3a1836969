import type { ClientId, SnapshotId } from '../model/ids.ts';
import { DAY_MS, HOUR_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import type { CenterConditions, Grant, Hold, PlannedOffer, PlannerEvent, StopCode } from './plan.ts';
import { rateAt, type RatePlan } from './rate-plan.ts';
import type { Learnt } from './records.ts';
import { isOpen, nextShared, type Interval, type Windows } from './windows.ts';

export interface Known {
  offer: PlannedOffer;
  begun: boolean;
  failures: number;
  retryAt: UnixMillis | null;
  /** Of the last time that it was estimated (S54). */
  expected: number;
  needed: number;
  alone: number;
  deadline: UnixMillis | null;
  due: UnixMillis;
}

export interface Run {
  readonly offer: PlannedOffer;
  readonly since: UnixMillis;
  readonly beside: boolean;
  phase: 'ordered' | 'running' | 'stopping';
  begun: boolean;
  readonly from: number;
  progressed: boolean;
}

interface Client {
  online: boolean;
  leaves: UnixMillis | null;
  line: string | null;
  absences: number;
  offences: number;
  pause: { readonly code: 'client-absent' | 'client-misbehaved'; readonly until: UnixMillis } | null;
}

/** What the slow planner knows, and what events mean for it. */
export class SlowBook {
  readonly offers = new Map<SnapshotId, Known>();
  readonly runs = new Map<SnapshotId, Run>();
  readonly clients = new Map<ClientId, Client>();
  readonly holds = new Map<string, Hold>();
  readonly restores = new Map<string | null, number>();
  conditions: CenterConditions;
  now = 0;
  learnt: Pick<Learnt, 'clients' | 'lines' | 'bases' | 'sessions'> = {
    clients: new Map(),
    lines: new Map(),
    bases: new Map(),
    sessions: new Map(),
  };
  readonly shared = new Map<string, Interval | null>();

  constructor(conditions: CenterConditions) {
    this.conditions = conditions;
  }

  turnBack(now: UnixMillis): void {
    const latest = now + HOUR_MS;
    for (const known of this.offers.values()) {
      if (known.retryAt !== null) known.retryAt = Math.min(known.retryAt, latest);
    }
    for (const client of this.clients.values()) {
      const { pause } = client;
      if (pause !== null) client.pause = { ...pause, until: Math.min(pause.until, latest) };
    }
  }

  stopWhere(stops: Map<SnapshotId, Grant>, why: (offer: PlannedOffer) => StopCode | null): void {
    for (const run of this.runs.values()) {
      const { snapshot, client } = run.offer;
      const code = run.phase === 'stopping' ? null : why(this.offers.get(snapshot)?.offer ?? run.offer);
      if (code === null) continue;
      run.phase = 'stopping';
      stops.set(snapshot, { kind: 'stop', snapshot, client, code });
    }
  }

  sharedWith(windows: Windows): Interval | null {
    const key = [windows.text, this.conditions.windows.text, this.now].join('\n');
    const known = this.shared.get(key);
    if (known !== undefined) return known;
    const found = nextShared([windows, this.conditions.windows], this.now);
    this.shared.set(key, found);
    return found;
  }

  closedSide(offer: PlannedOffer): 'client-window' | 'center-window' | null {
    if (!isOpen(offer.windows, this.now)) return 'client-window';
    return isOpen(this.conditions.windows, this.now) ? null : 'center-window';
  }

  stoppingHold({ client }: PlannedOffer): StopCode | null {
    const line = this.clients.get(client)!.line;
    const holds = [...this.holds.values()].filter(({ stops }) => stops);
    const isOn = ({ client: only, line: name }: Hold): boolean =>
      only === undefined ? name === null || name === line : only === client;
    return holds.find(isOn)?.code ?? null;
  }

  heldBack(client: ClientId): Hold | undefined {
    return [...this.holds.values()].find((hold) => hold.client === client);
  }

  client(id: ClientId, line: string | null): Client {
    const known = this.clients.get(id);
    if (known !== undefined) return known;
    const client: Client = { online: false, leaves: null, line, absences: 0, offences: 0, pause: null };
    this.clients.set(id, client);
    return client;
  }

  take(event: PlannerEvent, stops: Map<SnapshotId, Grant>): void {
    const stop = (match: (offer: PlannedOffer) => boolean, code: StopCode): void =>
      this.stopWhere(stops, (offer) => (match(offer) ? code : null));
    if (event.kind === 'offered') this.takeOffer(event.offer, stop);
    else if (event.kind === 'withdrawn') {
      stop(({ snapshot }) => snapshot === event.snapshot, 'withdrawn');
      this.offers.delete(event.snapshot);
    } else if (event.kind === 'online') {
      const client = this.client(event.client, event.line ?? null);
      const stays = this.learnt.sessions.get(event.client);
      const leaves = stays === undefined || stays > 20 * HOUR_MS ? null : this.now + stays;
      if (!client.online) client.leaves = leaves;
      client.online = true;
      if (event.line !== undefined) client.line = event.line;
      if (client.pause?.code === 'client-absent') client.pause = null;
    } else if (event.kind === 'offline') {
      const client = this.clients.get(event.client);
      if (client !== undefined) client.online = false;
      stop((offer) => offer.client === event.client, 'client-offline');
    } else if (event.kind === 'conditions') this.setConditions(event.conditions);
    else if (event.kind === 'hold') this.hold(event.hold);
    else if (event.kind === 'release') this.holds.delete(event.name);
    else if (event.kind === 'restores') this.restores.set(event.line, event.count);
    else if (event.kind === 'learnt') {
      this.estimateLine(event.line);
      for (const known of this.offers.values()) if (known.offer.client === event.client) this.estimate(known);
    } else if (event.kind === 'misbehaved') this.punish(event.client, 'client-misbehaved');
    else this.takeTransfer(event);
    this.forgetClients();
  }

  forgetClients(): void {
    const needed = new Set([...this.offers.values(), ...this.runs.values()].map(({ offer }) => offer.client));
    for (const [id, { online, pause }] of this.clients) {
      if (!online && pause === null && !needed.has(id)) this.clients.delete(id);
    }
  }

  hold(hold: Hold): void {
    for (const { name, client } of this.holds.values()) {
      if (name === hold.name || (client !== undefined && client === hold.client)) this.holds.delete(name);
    }
    if ((hold.until ?? Infinity) > this.now) this.holds.set(hold.name, hold);
  }

  punish(id: ClientId, code: 'client-absent' | 'client-misbehaved'): void {
    const client = this.clients.get(id);
    if (client === undefined) return;
    const times = code === 'client-absent' ? ++client.absences : ++client.offences;
    const until = this.now + delayAfter(times);
    if (client.pause === null || client.pause.until <= until) client.pause = { code, until };
  }

  setConditions(conditions: CenterConditions): void {
    const same = JSON.stringify(textsOf(conditions)) === JSON.stringify(textsOf(this.conditions));
    this.conditions = conditions;
    this.rates = this.ratesText();
    if (!same) for (const known of this.offers.values()) this.estimate(known);
  }

  takeOffer(
    offer: PlannedOffer,
    stop: (match: (offer: PlannedOffer) => boolean, code: StopCode) => void,
  ): void {
    this.client(offer.client, offer.line).line = offer.line;
    const known = this.offers.get(offer.snapshot);
    if (known !== undefined) {
      known.offer = { ...offer, offeredAt: known.offer.offeredAt };
      this.estimate(known);
      return;
    }
    const fresh: Known = {
      offer,
      begun: false,
      failures: 0,
      retryAt: null,
      expected: 0,
      needed: 0,
      alone: 0,
      deadline: null,
      due: 0,
    };
    this.offers.set(offer.snapshot, fresh);
    this.estimate(fresh);
    const first = this.first(offer);
    stop(
      (other) =>
        this.offers.has(other.snapshot) &&
        other.snapshot !== offer.snapshot &&
        this.first(other) === offer.snapshot,
      'after-predecessor',
    );
    if (first === undefined) throw new Error('an offer that is in no queue');
  }

  takeTransfer(event: PlannerEvent): void {
    if (event.kind !== 'started' && event.kind !== 'progress' && event.kind !== 'ended') return;
    const run = this.runs.get(event.snapshot);
    const known = this.offers.get(event.snapshot);
    const learns =
      run !== undefined && event.kind !== 'started' && (known !== undefined || event.kind === 'ended');
    if (learns) this.estimateLine(this.clients.get(run.offer.client)!.line);
    if (event.kind === 'started') {
      if (run === undefined) return;
      this.clients.get(run.offer.client)!.absences = 0;
      run.begun = true;
      if (run.phase === 'ordered' && known !== undefined) run.phase = 'running';
    } else if (event.kind === 'progress') {
      if (known === undefined) return;
      if (run !== undefined) {
        run.begun ||= event.bytes < known.offer.bytes;
        run.progressed = event.bytes < run.from;
      }
      if (run?.progressed === true) known.begun = true;
      known.offer = { ...known.offer, bytes: event.bytes };
      this.estimate(known);
    } else this.end(event.snapshot, event.outcome, run, known);
  }

  end(
    snapshot: SnapshotId,
    outcome: 'committed' | 'paused' | 'failed',
    run: Run | undefined,
    known: Known | undefined,
  ): void {
    this.runs.delete(snapshot);
    if (outcome === 'committed') {
      if (run !== undefined) this.clients.get(run.offer.client)!.offences = 0;
      this.offers.delete(snapshot);
    }
    if (run === undefined || outcome === 'committed') return;
    if (outcome === 'failed' && !run.begun && run.phase === 'ordered') {
      this.punish(run.offer.client, 'client-absent');
    } else if (known !== undefined) this.backOff(known, run, outcome === 'failed');
    if (known !== undefined) this.estimate(known);
  }

  backOff(known: Known, run: Run, failed: boolean): void {
    if (run.progressed) known.failures = 0;
    if (failed) known.retryAt = this.now + delayAfter(++known.failures);
    else if (run.phase !== 'stopping') known.retryAt = this.now + 30 * SECOND_MS;
  }

  rate(plan: RatePlan | undefined): number {
    return (plan && rateAt(plan, this.now).bytesPerSecond) ?? Infinity;
  }

  lineCap(line: string | null): number {
    return this.rate(line === null ? undefined : this.conditions.lines.get(line));
  }

  /** What the client may use and is thought to be able to. */
  wish(id: ClientId): number {
    const { clientRate, clientRates } = this.conditions;
    const able = this.learnt.clients.get(id) ?? this.learnt.lines.get(this.clients.get(id)!.line);
    return Math.min(able ?? Infinity, this.rate(clientRates.get(id) ?? clientRate));
  }

  rates = '';

  /** After a rate has changed by the time of the day. */
  renewRates(): void {
    const rates = this.ratesText();
    if (rates !== this.rates) for (const known of this.offers.values()) this.estimate(known);
    this.rates = rates;
  }

  ratesText(): string {
    const { rate, lines, clientRate, clientRates } = this.conditions;
    const plans = [rate, clientRate, ...lines.values(), ...clientRates.values()];
    return plans.map((plan) => `${plan.text}: ${this.rate(plan)}`).join('\n');
  }

  readonly bases = new Map<string | null, number>();

  estimateLine(name: string | null): void {
    const [known, basis] = [this.learnt.lines.get(name), this.bases.get(name)];
    if (known === basis) return;
    if (known !== undefined && basis !== undefined && known <= basis * 1.25 && known >= basis / 1.25) return;
    if (known === undefined) this.bases.delete(name);
    else this.bases.set(name, known);
    for (const other of this.offers.values()) {
      const { client } = other.offer;
      if (this.clients.get(client)!.line === name && !this.learnt.clients.has(client)) this.estimate(other);
    }
  }

  estimate(known: Known): void {
    const { offer } = known;
    const { bytes, client, deadline, target, lastCollected, offeredAt } = offer;
    const cap = Math.min(this.lineCap(this.clients.get(client)!.line), this.rate(this.conditions.rate));
    const able = Math.min(this.wish(client), cap);
    const rate = able === Infinity ? 10_000_000 : able;
    known.expected = Math.ceil((bytes / rate) * 1000);
    known.needed = Math.floor(known.expected * 0.8);
    const center = this.rate(this.conditions.rate);
    const lines = [...this.conditions.lines.keys()].map((line) => this.lineCap(line));
    const sum = lines.filter((carried) => carried < Infinity).reduce((a, b) => a + b, 0);
    const takes = sum === 0 ? 1 : Math.min(1, center / sum);
    const width = takes * Math.min(1, rate / cap) + (1 - takes) * Math.min(1, rate / center);
    known.alone = Math.round(known.expected * (1 - width ** 2));
    const until = deadline ?? (target === null ? null : (lastCollected ?? offeredAt) + target);
    known.due = until ?? ageOf(offer) + 30 * HOUR_MS;
    known.deadline = until && Math.max(this.now, Math.min(until, this.now + 28 * DAY_MS));
  }

  queueOf({ client, job }: PlannedOffer): PlannedOffer[] {
    const same = [...this.offers.values()].map(({ offer }) => offer);
    return same
      .filter((offer) => offer.client === client && offer.job === job)
      .sort((a, b) => a.sequence - b.sequence || (a.snapshot < b.snapshot ? -1 : 1));
  }

  first(offer: PlannedOffer): SnapshotId | undefined {
    return this.queueOf(offer)[0]?.snapshot;
  }
}

export const ageOf = ({ offeredAt }: PlannedOffer): number =>
  Math.floor(offeredAt / (6 * HOUR_MS)) * 6 * HOUR_MS;

const delayAfter = (times: number): number => Math.min(30 * SECOND_MS * 2 ** (times - 1), HOUR_MS);

function textsOf({ windows, rate, lines, clientRate, clientRates }: CenterConditions): unknown {
  const texts = (plans: ReadonlyMap<string, RatePlan>): string[] =>
    [...plans].map(([key, { text }]) => `${key}: ${text}`).sort();
  return [windows.text, rate.text, clientRate.text, texts(lines), texts(clientRates)];
}
