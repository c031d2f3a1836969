import type { SnapshotId } from '../model/ids.ts';
import { MINUTE_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import { ability, GUESSED_RATE } from './estimates.ts';
import type { Handling } from './handling.ts';
import type { Grant, PlannerEvent, ReasonCode } from './plan.ts';
import { step, type PlannerState, type PlannerStep } from './planner.ts';

/** The planner hears of each transfer at least so often. */
const REPORT_MS = 10 * MINUTE_MS;
/** And when so much work is left: then it looks who is next (S58). */
const LEAD_MS = 3 * SECOND_MS;
/** What rounding leaves of a transfer. */
const ROUNDING_MS = 0.01;
/** A night of a large fleet takes a few events for each snapshot; this is only against never ending. */
const STEPS_MAX = 5_000_000;

/** One snapshot's way through a night that was played. */
export interface Passage {
  readonly snapshot: SnapshotId;
  /** When it was on the wire. */
  readonly stretches: { readonly start: UnixMillis; end: UnixMillis }[];
  /** How many started for the first time before it; null if it did not start. */
  place: number | null;
  /** When its receipt was there; null: not within the time that was played. */
  end: UnixMillis | null;
  /** What kept it when the night was over; null if nothing did. */
  kept: ReasonCode | null;
}

interface Flow {
  readonly passage: Passage;
  left: number;
  /** Bytes per millisecond; 0 until it has begun. */
  pace: number;
  granted: number | null;
  begins: UnixMillis;
  begun: boolean;
  reported: UnixMillis;
  /** When its receipt is there; null while something is left. */
  commits: UnixMillis | null;
}

export interface Play {
  readonly until: UnixMillis;
  /** When it is asked what keeps those that are not collected. */
  readonly nightEnd: UnixMillis;
  /** How the pace of transfers compares with what is known of them: 1 is the same. */
  readonly pace: number;
  /** All clients are connected from the beginning. */
  readonly everybody: boolean;
}

/** Plays on from a state, which is used up, with transfers that flow evenly and clients that stay as they are (S70). */
export function playOn(state: PlannerState, now: UnixMillis, play: Play): Map<SnapshotId, Passage> {
  return new Player(state, now, play).run();
}

class Player {
  #state: PlannerState;
  #now: UnixMillis;
  #last: PlannerStep;
  readonly #play: Play;
  readonly #passages = new Map<SnapshotId, Passage>();
  readonly #flows = new Map<SnapshotId, Flow>();
  #started = 0;
  #asked = false;
  #stopped: readonly Flow[] = [];

  constructor(state: PlannerState, now: UnixMillis, play: Play) {
    this.#state = state;
    state.learns = false;
    this.#now = now;
    this.#play = play;
    for (const snapshot of state.offers.keys()) {
      this.#passages.set(snapshot, { snapshot, stretches: [], place: null, end: null, kept: null });
    }
    for (const run of state.runs.values()) this.#open(run.snapshot, run.rate, run.begun);
    this.#last = this.#tell({ kind: 'tick' });
    if (!play.everybody) return;
    for (const { id, online } of state.clients.values()) {
      if (!online) this.#tell({ kind: 'online', client: id });
    }
  }

  run(): Map<SnapshotId, Passage> {
    for (let steps = 0; steps < STEPS_MAX && this.#now < this.#play.until; steps++) {
      const next = this.#nextMoment();
      if (next === Infinity) break;
      this.#flowUntil(Math.min(next, this.#play.until));
      this.#happen();
      const over = this.#now >= this.#play.nightEnd;
      if (over) this.#askWhy();
      if (this.#now >= (this.#last.nextChange ?? Infinity)) this.#tell({ kind: 'tick' });
      if (over) this.#askWhatStopped();
    }
    for (const flow of this.#flows.values()) this.#close(flow);
    this.#askWhy();
    return this.#passages;
  }

  #nextMoment(): UnixMillis {
    let next = this.#last.nextChange ?? Infinity;
    if (!this.#asked) next = Math.min(next, this.#play.nightEnd);
    for (const flow of this.#flows.values()) next = Math.min(next, this.#momentOf(flow));
    return Math.max(Math.ceil(next), this.#now);
  }

  /** When something has to be told about it. */
  #momentOf({ begun, begins, left, pace, reported, commits }: Flow): UnixMillis {
    if (!begun) return begins;
    if (commits !== null) return commits;
    const ends = this.#now + left / pace;
    const nearEnd = ends - LEAD_MS;
    return nearEnd > this.#now ? Math.min(nearEnd, reported + REPORT_MS) : ends;
  }

  #flowUntil(at: UnixMillis): void {
    const elapsed = at - this.#now;
    for (const flow of this.#flows.values()) {
      if (!flow.begun || flow.commits !== null) continue;
      const takes = flow.left / flow.pace;
      if (takes <= elapsed + ROUNDING_MS)
        [flow.left, flow.commits] = [0, this.#now + takes + this.#timeFor('closing')];
      else flow.left -= flow.pace * elapsed;
    }
    this.#now = at;
  }

  #happen(): void {
    for (const flow of this.#flows.values()) {
      const { snapshot } = flow.passage;
      if (this.#flows.get(snapshot) !== flow) continue;
      if (!flow.begun && flow.begins <= this.#now) this.#begin(flow);
      else if (flow.commits !== null && flow.commits <= this.#now) this.#commit(flow);
      else if (flow.begun && this.#isWorthTelling(flow)) this.#report(flow);
    }
  }

  #isWorthTelling({ left, pace, reported, commits }: Flow): boolean {
    if (commits !== null) return false;
    const nearEnd = left / pace <= LEAD_MS + 1 && this.#now - reported > LEAD_MS;
    return nearEnd || this.#now - reported >= REPORT_MS;
  }

  #begin(flow: Flow): void {
    flow.begun = true;
    flow.reported = this.#now;
    flow.pace = this.#paceOf(flow);
    this.#tell({ kind: 'started', snapshot: flow.passage.snapshot });
  }

  #report(flow: Flow): void {
    flow.reported = this.#now;
    this.#tell({ kind: 'progress', snapshot: flow.passage.snapshot, bytes: Math.ceil(flow.left) });
  }

  #commit(flow: Flow): void {
    flow.passage.end = this.#now;
    this.#close(flow);
    this.#tell({ kind: 'ended', snapshot: flow.passage.snapshot, outcome: 'committed' });
  }

  #open(snapshot: SnapshotId, granted: number | null, begun: boolean): void {
    const passage = this.#passages.get(snapshot);
    const record = this.#state.offers.get(snapshot);
    if (passage === undefined || record === undefined) return;
    passage.place ??= this.#started++;
    passage.stretches.push({ start: this.#now, end: this.#now });
    const begins = begun ? this.#now : this.#now + this.#timeFor('setUp');
    const left = record.offer.bytes;
    const flow: Flow = { passage, left, pace: 0, granted, begins, begun, reported: this.#now, commits: null };
    if (begun) flow.pace = this.#paceOf(flow);
    this.#flows.set(snapshot, flow);
  }

  #close({ passage }: Flow): void {
    passage.stretches.at(-1)!.end = this.#now;
    this.#flows.delete(passage.snapshot);
  }

  #timeFor(what: keyof Handling): number {
    return this.#state.learnt.handling[what] / this.#play.pace;
  }

  #paceOf({ passage, granted }: Flow): number {
    const record = this.#state.offers.get(passage.snapshot);
    const able = record === undefined ? Infinity : ability(this.#state, record.client);
    const known = able === Infinity && granted === null ? GUESSED_RATE : able;
    const usual = Math.min(known * this.#play.pace, (granted ?? Infinity) * Math.min(1, this.#play.pace));
    return Math.max(1, usual) / SECOND_MS;
  }

  /** Tells it, and everything that follows from it. */
  #tell(event: PlannerEvent): PlannerStep {
    this.#last = step(this.#state, event, this.#now);
    this.#state = this.#last.state;
    for (const { snapshot, bytesPerSecond } of this.#last.rates) this.#regrant(snapshot, bytesPerSecond);
    const { grants, rates } = this.#last;
    for (const grant of grants) {
      if (grant.kind === 'start') {
        const rate = rates.find(({ snapshot }) => snapshot === grant.snapshot)?.bytesPerSecond ?? null;
        this.#open(grant.snapshot, rate, false);
      } else this.#stop(grant);
    }
    return this.#last;
  }

  #regrant(snapshot: SnapshotId, granted: number | null): void {
    const flow = this.#flows.get(snapshot);
    if (flow === undefined) return;
    flow.granted = granted;
    if (flow.begun) flow.pace = this.#paceOf(flow);
  }

  #stop({ snapshot }: Grant): void {
    const flow = this.#flows.get(snapshot);
    if (flow === undefined) return;
    this.#close(flow);
    this.#tell({ kind: 'progress', snapshot, bytes: Math.ceil(flow.left) });
    this.#tell({ kind: 'ended', snapshot, outcome: 'paused' });
  }

  /** Of those that were under way when the night ended. */
  #askWhatStopped(): void {
    for (const { passage } of this.#stopped) {
      if (passage.kept === 'running') passage.kept = this.#last.reasons.get(passage.snapshot)?.code ?? null;
    }
    this.#stopped = [];
  }

  #askWhy(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#stopped = [...this.#flows.values()];
    for (const passage of this.#passages.values()) {
      if (passage.end === null) passage.kept = this.#last.reasons.get(passage.snapshot)?.code ?? null;
    }
  }
}
