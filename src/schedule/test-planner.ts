import type { SnapshotId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS, type UnixMillis } from '../model/time.ts';
import type { Grant, Hold, PlannedOffer, PlannerEvent, ReasonCode } from './plan.ts';
import type { Learnt } from './records.ts';
import { ageOf, SlowBook, type Known, type Run } from './test-book.ts';
import { nextInterval, sharedTime } from './windows.ts';

interface Choice {
  readonly known: Known;
  readonly rank: number;
}

/** The planner's rules for tests, done the slow way: at every event it looks at everything anew. */
export class SlowPlanner extends SlowBook {
  /**
   * @param learnt by the planner under test, up to and with this event
   * @returns the stops in any order, then the starts in theirs
   */
  step(event: PlannerEvent, now: UnixMillis, learnt: Learnt): Grant[] {
    const stops = new Map<SnapshotId, Grant>();
    if (now < this.now) this.turnBack(now);
    this.now = now;
    this.learnt = learnt;
    this.renewRates();
    for (const known of this.offers.values()) if ((known.retryAt ?? Infinity) <= now) known.retryAt = null;
    for (const client of this.clients.values())
      if ((client.pause?.until ?? Infinity) <= now) client.pause = null;
    for (const hold of this.holds.values()) if ((hold.until ?? Infinity) <= now) this.holds.delete(hold.name);
    this.stopWhere(stops, (offer) => this.closedSide(offer));
    this.take(event, stops);
    this.stopWhere(stops, (offer) => (this.offers.has(offer.snapshot) ? this.closedSide(offer) : null));
    this.stopWhere(stops, (offer) => this.stoppingHold(offer));
    this.stopSurplus(stops);
    const starts = this.starts();
    this.giveWay(stops);
    return [...stops.values(), ...starts];
  }

  /** Each moment by which it may have to be done; by its deadline as if its windows stayed open from now on. */
  endsOf({ offer, deadline }: Known): number[] {
    const sides = [offer.windows, this.conditions.windows];
    const [now, at] = [this.now, deadline ?? this.now];
    const left = at >= now ? sharedTime(sides, now, at) : -sharedTime(sides, at, now);
    return [
      this.sharedWith(offer.windows)?.end ?? Infinity,
      deadline === null ? Infinity : now + left,
      this.clients.get(offer.client)!.leaves ?? Infinity,
    ];
  }

  endOf(known: Known): number {
    return Math.min(Infinity, ...this.endsOf(known).filter((end) => end - known.needed >= this.now));
  }

  canBeInTime(known: Known): boolean {
    return this.endOf(known) !== Infinity;
  }

  inOrder(list: Known[], key: (known: Known) => number): Known[] {
    const keys = new Map(list.map((known) => [known, key(known)]));
    return list.sort((a, b) => {
      const [left, right] = [keys.get(a)!, keys.get(b)!];
      if (left !== right) return left < right ? -1 : 1;
      return (
        ageOf(a.offer) - ageOf(b.offer) ||
        Number(b.begun) - Number(a.begun) ||
        b.alone - a.alone ||
        a.offer.bytes - b.offer.bytes ||
        (a.offer.snapshot < b.offer.snapshot ? -1 : 1)
      );
    });
  }

  byUrgency(list: Known[]): Known[] {
    return this.inOrder(list, (known) => this.endOf(known) - known.alone);
  }

  restoring(): boolean {
    return [...this.restores.values()].some((count) => count > 0);
  }

  get streams(): number {
    const { streams, restoreShare, rate } = this.conditions;
    if (!this.restoring() || this.rate(rate) !== Infinity) return streams;
    return Math.ceil(Math.round(streams * (1 - restoreShare) * 1e6) / 1e6);
  }

  stopSurplus(stops: Map<SnapshotId, Grant>): void {
    const going = [...this.runs.values()].filter(({ phase }) => phase !== 'stopping');
    if (this.runs.size <= this.streams || going.length <= this.streams) return;
    const order = this.byUrgency(going.map(({ offer }) => this.offers.get(offer.snapshot)!));
    const surplus = new Set(order.slice(this.streams).map(({ offer }) => offer.snapshot));
    const code = this.streams < this.conditions.streams ? 'restores-first' : 'streams-busy';
    this.stopWhere(stops, ({ snapshot }) => (surplus.has(snapshot) ? code : null));
  }

  holdOn(line: string | null): Hold | null {
    const holds = [...this.holds.values()].filter(
      (hold) => hold.client === undefined && (hold.line === null || hold.line === line),
    );
    return holds.sort((a, b) => (b.until ?? Infinity) - (a.until ?? Infinity) || 0)[0] ?? null;
  }

  lineOf({ offer }: { readonly offer: PlannedOffer }): string | null {
    return this.clients.get(offer.client)!.line;
  }

  /** Of those that could be started, by line. */
  waiting(): Map<string | null, Known[]> {
    const busy = new Set([...this.runs.values()].map(({ offer }) => offer.client));
    const lines = new Map<string | null, Known[]>();
    for (const known of this.offers.values()) {
      const { offer, retryAt } = known;
      const { online, pause, line } = this.clients.get(offer.client)!;
      const free = online && pause === null && !busy.has(offer.client) && retryAt === null;
      if (!free || this.closedSide(offer) !== null || this.first(offer) !== offer.snapshot) continue;
      if (this.heldBack(offer.client) !== undefined) continue;
      if (this.holdOn(line) === null) lines.set(line, [...(lines.get(line) ?? []), known]);
    }
    return lines;
  }

  load(on: (run: Run) => boolean): number {
    let load = 0;
    for (const run of this.runs.values()) {
      if (run.beside || !on(run)) continue;
      const bytes = this.offers.get(run.offer.snapshot)?.offer.bytes ?? Infinity;
      load += Math.round(Math.min(this.wish(run.offer.client), bytes / 3, 1e12));
    }
    return load;
  }

  share(restoring: boolean): number {
    return restoring ? 1 - this.conditions.restoreShare : 1;
  }

  totalFull(): boolean {
    const capacity = this.rate(this.conditions.rate) * this.share(this.restoring());
    const lines = new Set([...this.runs.values()].map((run) => this.lineOf(run)));
    const loads = [...lines].map((line) =>
      Math.min(
        this.lineCapacity(line),
        this.load((run) => this.lineOf(run) === line),
      ),
    );
    return loads.reduce((a, b) => a + b, 0) >= capacity * 0.999;
  }

  lineFull(line: string | null): boolean {
    return this.load((run) => this.lineOf(run) === line) >= this.lineCapacity(line) * 0.999;
  }

  lineCapacity(line: string | null): number {
    return this.lineCap(line) * this.share((this.restores.get(line) ?? 0) > 0);
  }

  best(waiting: Known[]): { tightest: Known | undefined; oldest: Known } {
    const inTime = waiting.filter((known) => this.canBeInTime(known));
    return {
      tightest: this.byUrgency(inTime)[0],
      oldest: this.inOrder([...waiting], ({ due }) => due)[0]!,
    };
  }

  choice(line: string | null, waiting: Known[]): Choice | null {
    const { tightest, oldest } = this.best(waiting);
    const totalFull = this.totalFull();
    const besides = [...this.runs.values()].filter(({ beside }) => beside);
    const beside = besides.some((run) => totalFull || this.lineOf(run) === line);
    if (oldest.due <= this.now && !beside) return { known: oldest, rank: 0 };
    if (totalFull || this.lineFull(line)) return null;
    return tightest === undefined ? { known: oldest, rank: 2 } : { known: tightest, rank: 1 };
  }

  bestChoice(choices: Choice[]): Choice | undefined {
    const rank = Math.min(...choices.map((choice) => choice.rank));
    const same = choices.filter((choice) => choice.rank === rank).map(({ known }) => known);
    const order = rank === 1 ? this.byUrgency(same) : this.inOrder(same, ({ due }) => due);
    return choices.find(({ known }) => known === order[0]);
  }

  starts(): Grant[] {
    const starts: Grant[] = [];
    while (this.runs.size < this.streams) {
      const choices = [...this.waiting()].map(([line, waiting]) => this.choice(line, waiting));
      const choice = this.bestChoice(choices.filter((choice) => choice !== null));
      if (choice === undefined) break;
      const { offer } = choice.known;
      const { snapshot, client, windows } = offer;
      const flags = { begun: false, from: offer.bytes, progressed: false, beside: choice.rank === 0 };
      this.runs.set(snapshot, { offer, since: this.now, phase: 'ordered', ...flags });
      starts.push({ kind: 'start', snapshot, client, until: this.sharedWith(windows)!.end });
    }
    return starts;
  }

  giveWay(stops: Map<SnapshotId, Grant>): void {
    const center = this.runs.size >= this.streams || this.totalFull();
    const scopes: [Known, Run[]][] = [];
    const others: Known[] = [];
    for (const [line, waiting] of this.waiting()) {
      const { tightest } = this.best(waiting);
      if (tightest === undefined) continue;
      const runs = [...this.runs.values()];
      if (this.lineFull(line)) scopes.push([tightest, runs.filter((run) => this.lineOf(run) === line)]);
      else if (center) others.push(tightest);
    }
    const first = this.byUrgency(others)[0];
    if (first !== undefined) scopes.push([first, [...this.runs.values()]]);
    for (const [known, runs] of scopes) this.makeRoom(stops, known, runs);
  }

  makeRoom(stops: Map<SnapshotId, Grant>, known: Known, runs: Run[]): void {
    if (runs.some(({ phase }) => phase === 'stopping')) return;
    const last = runs
      .filter(({ since, beside }) => !beside && this.now - since >= MINUTE_MS)
      .map((run) => ({ run, standing: this.standing(run) }))
      .sort((a, b) =>
        a.standing === b.standing ? later(a.run, b.run) : a.standing > b.standing ? -1 : 1,
      )[0];
    if (last === undefined) return;
    const end = this.endOf(known);
    const ahead = end - known.expected - this.now < 15 * MINUTE_MS ? 5 * MINUTE_MS : HOUR_MS;
    if (end - known.alone + ahead >= last.standing) return;
    this.stopWhere(stops, ({ snapshot }) => (snapshot === last.run.offer.snapshot ? 'more-urgent' : null));
  }

  standing(run: Run): number {
    const known = this.offers.get(run.offer.snapshot)!;
    return run.beside || !this.canBeInTime(known) ? Infinity : this.endOf(known) - known.alone;
  }

  reasonCode(snapshot: SnapshotId): ReasonCode {
    const known = this.offers.get(snapshot)!;
    const { offer, retryAt } = known;
    const run = this.runs.get(snapshot);
    if (run?.phase === 'running') return 'running';
    if (run?.phase === 'ordered') return 'next';
    const heldBack = this.heldBack(offer.client);
    if (heldBack !== undefined) return heldBack.code;
    if (this.closedSide(offer) !== null)
      return offer.windows.text === 'never' ? 'client-held' : this.waitsForWindow(offer);
    const { online, pause, line } = this.clients.get(offer.client)!;
    if (!online) return 'client-offline';
    if (this.first(offer) !== snapshot) return 'after-predecessor';
    if (retryAt !== null) return 'backing-off';
    if (pause !== null) return pause.code;
    const others = [...this.runs.values()].filter((run) => run.offer.snapshot !== snapshot);
    if (others.some((run) => run.offer.client === offer.client)) return 'client-busy';
    const hold = this.holdOn(line);
    if (hold !== null) return hold.code;
    return run === undefined ? this.whatIsFull(known, line) : 'streams-busy';
  }

  whatIsFull(known: Known, line: string | null): ReasonCode {
    if (this.streams === 0) return 'held';
    const waiting = [...this.waiting()].map(([name, list]): [string | null, Choice] => {
      const { tightest, oldest } = this.best(list);
      return [name, tightest === undefined ? { known: oldest, rank: 2 } : { known: tightest, rank: 1 }];
    });
    if (this.bestChoice(waiting.map(([, choice]) => choice))?.known === known) return 'next';
    if (this.lineFull(line)) return new Map(waiting).get(line)!.known === known ? 'next' : 'line-busy';
    if (this.runs.size < this.streams) return 'center-busy';
    return this.streams < this.conditions.streams ? 'restores-first' : 'streams-busy';
  }

  waitsForWindow({ windows }: PlannedOffer): ReasonCode {
    const shared = this.sharedWith(windows);
    if (shared === null) return 'no-shared-window';
    return nextInterval(windows, shared.start)!.start === shared.start ? 'client-window' : 'center-window';
  }
}

const later = (a: Run, b: Run): number =>
  a.since === b.since ? (a.offer.snapshot > b.offer.snapshot ? -1 : 1) : b.since - a.since;
