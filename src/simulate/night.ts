import { HOUR_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import type { SnapshotId } from '../model/ids.ts';
import type { Grant, Outcome, PlannerEvent } from '../schedule/plan.ts';
import type { RandomStream } from '../model/random-stream.ts';
import type { Controller, Decision } from './controller.ts';
import type { Fleet, FleetClient, FleetSnapshot } from './fleet.ts';
import { timelineOf } from './line-times.ts';
import { Network, ROUNDING_MS, type Flow } from './network.ts';
import { TimedHeap, type Timed } from './timed-heap.ts';

/** Bins in which what flows over a line is counted. */
export const BIN_MS = 10 * SECOND_MS;
/** From an order to the first byte; from the last byte to the receipt; from a stop to the last byte. */
const SET_UP_MS = SECOND_MS;
const COMMIT_MS = 300;
const STOP_MS = 200;
/** After which an order to a client that does not answer, or sends nothing, is given up. */
const SILENCE_MS = 30 * SECOND_MS;
const IDLE_MS = 60 * SECOND_MS;

const PASSES_PER_STEP = 1000;

export interface NightOptions {
  /** Whether collection gives way to foreground traffic on the wire. */
  readonly yields: boolean;
  /** Only failures are drawn from it. */
  readonly random: RandomStream;
  /** How often the center tells the planner how far a transfer is. */
  readonly progressMs: number;
  /** Whether a transfer goes on where it stopped, as from a spool; true if left out. */
  readonly resumes?: boolean;
}

/** One snapshot's night. */
export interface Fate {
  readonly snapshot: FleetSnapshot;
  readonly client: Standing;
  left: number;
  startedAt: UnixMillis | null;
  collectedAt: UnixMillis | null;
}

export interface Standing {
  readonly spec: FleetClient;
  online: boolean;
  readonly waiting: Fate[];
  lastCollected: UnixMillis | null;
  run: Run | null;
}

/** A stretch of time in which a snapshot was on the wire. */
export interface Stretch {
  readonly fate: Fate;
  readonly start: UnixMillis;
  readonly end: UnixMillis;
}

export interface NightResult {
  readonly fleet: Fleet;
  readonly fates: readonly Fate[];
  readonly stretches: readonly Stretch[];
  readonly network: Network;
  readonly counts: Counts;
}

export interface Counts {
  decisions: number;
  starts: number;
  /** Orders to computers that were not there. */
  vain: number;
  broken: number;
}

interface Run {
  readonly fate: Fate;
  granted: number | null;
  flow: Flow | null;
  begunAt: UnixMillis | null;
  /** It will not begin, break or report any more. */
  over: boolean;
  stopping: boolean;
}

interface Happening extends Timed {
  readonly work: (now: UnixMillis) => void;
}

/** One night of a fleet under one controller: time jumps from one happening to the next. */
export function simulateNight(fleet: Fleet, controller: Controller, options: NightOptions): NightResult {
  const steps = nightSteps(fleet, controller, options);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The same for those who have other things to do meanwhile: yields the moment every few thousand happenings. */
export function nightSteps(
  fleet: Fleet,
  controller: Controller,
  options: NightOptions,
): Generator<UnixMillis, NightResult, void> {
  return new Night(fleet, controller, options).run();
}

class Night {
  readonly #fleet: Fleet;
  readonly #controller: Controller;
  readonly #options: NightOptions;
  readonly #network: Network;
  readonly #happenings = new TimedHeap<Happening>();
  readonly #fates = new Map<SnapshotId, Fate>();
  readonly #runs = new Map<SnapshotId, Run>();
  readonly #runOf = new Map<Flow, Run>();
  readonly #stretches: Stretch[] = [];
  readonly #counts: Counts = { decisions: 0, starts: 0, vain: 0, broken: 0 };
  #nextChange: UnixMillis | null = null;

  constructor(fleet: Fleet, controller: Controller, options: NightOptions) {
    const { from, until, lines } = fleet;
    this.#fleet = fleet;
    this.#controller = controller;
    this.#options = options;
    this.#network = new Network(lines, { from, until, binMs: BIN_MS, yields: options.yields });
  }

  *run(): Generator<UnixMillis, NightResult, void> {
    const { from, until } = this.#fleet;
    this.#layLines();
    for (const restore of this.#fleet.restores) {
      const line = this.#lineName(restore.line);
      this.#at(restore.start, (now) => this.#tell({ kind: 'restores', line, count: 1 }, now));
      this.#at(restore.end, (now) => this.#tell({ kind: 'restores', line, count: 0 }, now));
    }
    for (const spec of this.#fleet.clients) this.#enter(spec);
    let passes = 0;
    for (let now = from; now <= until; now = this.#next()) {
      this.#pass(now);
      if (++passes % PASSES_PER_STEP === 0) yield now;
    }
    for (const run of this.#runs.values()) this.#halt(run, until);
    this.#network.closeBooks(until);
    return {
      fleet: this.#fleet,
      fates: [...this.#fates.values()],
      stretches: this.#stretches,
      network: this.#network,
      counts: this.#counts,
    };
  }

  #next(): UnixMillis {
    const happening = this.#happenings.top()?.at ?? Infinity;
    const finish = this.#network.nextFinish()?.at ?? Infinity;
    return Math.ceil(Math.min(happening, finish, this.#nextChange ?? Infinity) - ROUNDING_MS);
  }

  #pass(now: UnixMillis): void {
    for (let flow = this.#network.nextFinish(); flow !== undefined && flow.at <= now + ROUNDING_MS;) {
      this.#finish(this.#runOf.get(flow)!, now);
      flow = this.#network.nextFinish();
    }
    for (let next = this.#happenings.top(); next !== undefined && next.at <= now;) {
      this.#happenings.pop();
      next.work(now);
      next = this.#happenings.top();
    }
    if (this.#nextChange !== null && this.#nextChange <= now) this.#tell({ kind: 'tick' }, now);
    this.#network.settle(now);
  }

  #at(at: UnixMillis, work: (now: UnixMillis) => void): void {
    this.#happenings.put({ at, place: -1, work });
  }

  #layLines(): void {
    for (const [index, times] of timelineOf(this.#fleet).entries()) {
      const line = this.#network.lines[index]!;
      const { foregroundFlow } = this.#fleet.lines[index]!;
      for (const { at, capacity, foreground } of times) {
        this.#at(at, () => this.#network.setLine(line, capacity, foreground, foregroundFlow));
      }
    }
  }

  #enter(spec: FleetClient): void {
    const { from } = this.#fleet;
    const client: Standing = {
      spec,
      online: false,
      waiting: [],
      lastCollected: spec.lastCollected,
      run: null,
    };
    this.#at(from, (now) => this.#recall(spec, now));
    for (const span of spec.online ?? [{ start: from, end: Infinity }]) {
      if (span.start < this.#fleet.until)
        this.#at(Math.max(from, span.start), (now) => this.#goOnline(client, now));
      if (span.end < this.#fleet.until) this.#at(span.end, (now) => this.#goOffline(client, now));
    }
    for (const snapshot of spec.snapshots) {
      const fate: Fate = { snapshot, client, left: snapshot.bytes, startedAt: null, collectedAt: null };
      this.#fates.set(snapshot.id, fate);
      if (snapshot.readyAt > this.#fleet.until) continue;
      this.#at(Math.max(from, snapshot.readyAt), (now) => {
        if (client.online) this.#offer(fate, now);
        else client.waiting.push(fate);
      });
    }
  }

  /** A center that has collected from it before knows how fast it is, and how long it uses to stay. */
  #recall({ id, line, speed, session }: FleetClient, now: UnixMillis): void {
    const more = session === null ? {} : { session };
    const learnt = { client: id, line: this.#lineName(line), bytesPerSecond: speed, ...more };
    this.#tell({ kind: 'learnt', ...learnt }, now);
  }

  #lineName(line: number): string | null {
    return line === 0 ? null : this.#fleet.lines[line]!.name;
  }

  #goOnline(client: Standing, now: UnixMillis): void {
    client.online = true;
    this.#tell({ kind: 'online', client: client.spec.id }, now);
    for (const fate of client.waiting.splice(0)) this.#offer(fate, now);
  }

  #goOffline(client: Standing, now: UnixMillis): void {
    client.online = false;
    const { run } = client;
    this.#tell({ kind: 'offline', client: client.spec.id }, now);
    if (run === null || run.over) return;
    this.#halt(run, now);
    this.#at(now, (later) => this.#end(run, 'paused', later));
  }

  #offer({ snapshot, client }: Fate, now: UnixMillis): void {
    const { id, line, windows, target } = client.spec;
    this.#tell(
      {
        kind: 'offered',
        offer: {
          snapshot: snapshot.id,
          client: id,
          line: this.#lineName(line),
          job: snapshot.job ?? 'backup',
          sequence: snapshot.sequence,
          bytes: snapshot.announced,
          windows: snapshot.windows ?? windows,
          offeredAt: now,
          deadline: snapshot.deadline,
          target,
          lastCollected: client.lastCollected,
        },
      },
      now,
    );
  }

  #tell(event: PlannerEvent, now: UnixMillis): void {
    this.#counts.decisions++;
    const decision: Decision = this.#controller.tell(event, now);
    this.#nextChange = decision.nextChange;
    for (const grant of decision.grants) this.#carryOut(grant, now);
    for (const { snapshot, bytesPerSecond } of decision.rates) {
      const run = this.#runs.get(snapshot);
      if (run === undefined) continue;
      run.granted = bytesPerSecond;
      if (run.flow !== null) this.#network.setCap(run.flow, capOf(run));
    }
  }

  #carryOut(grant: Grant, now: UnixMillis): void {
    if (grant.kind === 'start') return this.#order(grant.snapshot, now);
    const run = this.#runs.get(grant.snapshot);
    if (run === undefined || run.over) return;
    run.stopping = true;
    this.#at(now + STOP_MS, (later) => {
      if (run.over) return;
      this.#halt(run, later);
      this.#end(run, 'paused', later);
    });
  }

  #order(snapshot: SnapshotId, now: UnixMillis): void {
    const fate = this.#fates.get(snapshot)!;
    const run: Run = { fate, granted: null, flow: null, begunAt: null, over: false, stopping: false };
    if (this.#runs.has(snapshot) || fate.client.run !== null) throw new TypeError('it is under way already');
    this.#runs.set(snapshot, run);
    fate.client.run = run;
    this.#counts.starts++;
    const { online, spec } = fate.client;
    if (!online || spec.mute) {
      this.#counts.vain++;
      return this.#at(now + (online ? IDLE_MS : SILENCE_MS), (later) => this.#giveUp(run, later));
    }
    this.#at(now + SET_UP_MS, (later) => {
      if (!run.over) this.#begin(run, later);
    });
  }

  #giveUp(run: Run, now: UnixMillis): void {
    if (run.over) return;
    run.over = true;
    this.#end(run, 'failed', now);
  }

  #begin(run: Run, now: UnixMillis): void {
    const { fate } = run;
    const { line, breaksPerHour } = fate.client.spec;
    this.#tell({ kind: 'started', snapshot: fate.snapshot.id }, now);
    fate.startedAt ??= now;
    run.begunAt = now;
    run.flow = this.#network.open(this.#network.lines[line]!, fate.left, capOf(run), 1, now);
    this.#runOf.set(run.flow, run);
    this.#at(now + this.#options.progressMs, (later) => this.#report(run, later));
    if (breaksPerHour === 0) return;
    const hours = -Math.log(1 - this.#options.random.fraction()) / breaksPerHour;
    this.#at(now + Math.ceil(hours * HOUR_MS), (later) => {
      if (run.over) return;
      this.#counts.broken++;
      this.#halt(run, later);
      this.#end(run, 'failed', later);
    });
  }

  #report(run: Run, now: UnixMillis): void {
    if (run.over || run.flow === null) return;
    run.fate.left = this.#network.leftOf(run.flow, now);
    this.#tellProgress(run, now);
    this.#at(now + this.#options.progressMs, (later) => this.#report(run, later));
  }

  /** The center subtracts what it has from what was announced. */
  #tellProgress({ fate }: Run, now: UnixMillis): void {
    const { id, announced, bytes } = fate.snapshot;
    const left = Math.max(0, Math.ceil(announced - (bytes - fate.left)));
    this.#tell({ kind: 'progress', snapshot: id, bytes: left }, now);
  }

  #finish(run: Run, now: UnixMillis): void {
    this.#halt(run, now);
    run.fate.left = 0;
    this.#at(now + COMMIT_MS, (later) => {
      run.fate.collectedAt = later;
      const { client, snapshot } = run.fate;
      client.lastCollected = Math.max(client.lastCollected ?? -Infinity, snapshot.readyAt);
      this.#end(run, 'committed', later);
    });
  }

  /** Nothing more is sent. */
  #halt(run: Run, now: UnixMillis): void {
    run.over = true;
    if (run.flow === null) return;
    run.fate.left = this.#network.close(run.flow, now);
    this.#runOf.delete(run.flow);
    run.flow = null;
    this.#stretches.push({ fate: run.fate, start: run.begunAt!, end: now });
    const { snapshot, left } = run.fate;
    if (left > 0 && this.#options.resumes === false) run.fate.left = snapshot.bytes;
  }

  #end(run: Run, outcome: Outcome, now: UnixMillis): void {
    const { fate, begunAt } = run;
    this.#runs.delete(fate.snapshot.id);
    fate.client.run = null;
    if (outcome !== 'committed' && begunAt !== null) this.#tellProgress(run, now);
    this.#tell({ kind: 'ended', snapshot: fate.snapshot.id, outcome }, now);
  }
}

function capOf({ fate, granted }: Run): number {
  return Math.min(fate.client.spec.speed, granted ?? Infinity);
}
