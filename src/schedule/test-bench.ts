import assert from 'node:assert/strict';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../model/time.ts';
import {
  conditionsWith,
  type CenterConditions,
  type Grant,
  type PlannedOffer,
  type PlannerEvent,
  type Reason,
} from './plan.ts';
import { newPlanner, step, type PlannerState, type PlannerStep } from './planner.ts';
import { describeReason } from './reasons.ts';
import { parseWindows } from './windows.ts';

export const TOKYO = 'Asia/Tokyo';
/** 2026-03-02, a Monday. */
const MIDNIGHT = Temporal.Instant.from('2026-03-01T15:00Z').epochMilliseconds;
export const at = (hour: number, minute = 0, day = 0): number =>
  MIDNIGHT + day * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS;
export const id = (name: string): SnapshotId => name as SnapshotId;
export const client = (name: string): ClientId => name as ClientId;

interface Wish {
  readonly client?: string;
  readonly job?: string;
  readonly sequence?: number;
  readonly windows?: string;
  readonly offeredAt?: number;
  readonly bytes?: number;
  readonly line?: string | null;
  readonly deadline?: number | null;
  readonly target?: number | null;
  readonly lastCollected?: number | null;
}

/** A planner with its clock, which never jumps over a `nextChange` unless told to. */
export class Bench {
  #state: PlannerState;
  now: number;
  last: PlannerStep | null = null;
  /** Grants in words, such as `18:00 start a`. */
  readonly log: string[] = [];

  readonly rates = new Map<string, number | null>();

  constructor(center: string, streams: number, now = at(18), more: Partial<CenterConditions> = {}) {
    this.now = now;
    this.#state = newPlanner(conditionsWith(parseWindows(center, TOKYO), streams, more), now);
  }

  step(event: PlannerEvent): readonly Grant[] {
    const result = step(this.#state, event, this.now);
    this.#state = result.state;
    this.last = result;
    assert.ok(result.nextChange === null || result.nextChange > this.now);
    for (const { snapshot, bytesPerSecond } of result.rates) this.rates.set(snapshot, bytesPerSecond);
    for (const grant of result.grants) {
      const why = grant.kind === 'stop' ? ` ${grant.code}` : '';
      this.log.push(`${this.clock(this.now)} ${grant.kind} ${grant.snapshot}${why}`);
    }
    return result.grants;
  }

  clock(ms: number): string {
    return Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(TOKYO).toPlainTime().toString({
      smallestUnit: 'minute',
    });
  }

  /** Ticks at every change up to `until`, stays there. */
  waitUntil(until: number): void {
    for (;;) {
      const next = this.last?.nextChange ?? null;
      if (next === null || next > until) break;
      this.now = next;
      this.step({ kind: 'tick' });
    }
    this.now = until;
  }

  offer(name: string, wish: Wish = {}): PlannedOffer {
    const {
      client: owner = 'ann',
      job = name,
      sequence = 1,
      windows = 'any',
      offeredAt = this.now,
      ...more
    } = wish;
    const offer: PlannedOffer = {
      snapshot: id(name),
      client: client(owner),
      job,
      sequence,
      bytes: 1000,
      offeredAt,
      line: null,
      deadline: null,
      target: null,
      lastCollected: null,
      ...more,
      windows: parseWindows(windows, TOKYO),
    };
    this.step({ kind: 'offered', offer });
    return offer;
  }

  online(...names: string[]): void {
    for (const name of names) this.step({ kind: 'online', client: client(name) });
  }

  started(name: string): void {
    this.step({ kind: 'started', snapshot: id(name) });
  }

  ended(name: string, outcome: 'committed' | 'paused' | 'failed'): void {
    this.step({ kind: 'ended', snapshot: id(name), outcome });
  }

  progress(name: string, bytes: number): void {
    this.step({ kind: 'progress', snapshot: id(name), bytes });
  }

  /** What this client of no line, or of `line`, was seen to be able to send. */
  learnt(name: string, bytesPerSecond: number, line: string | null = null): void {
    this.step({ kind: 'learnt', client: client(name), line, bytesPerSecond });
  }

  reason(name: string): Reason | undefined {
    return this.last?.reasons.get(id(name));
  }

  /** What a person at the client reads. */
  says(name: string): string {
    return describeReason(this.reason(name)!, TOKYO, this.now);
  }

  /** Those that hold a stream. */
  get running(): readonly string[] {
    return [...this.#state.runs.keys()];
  }

  get nextChange(): number | null {
    return this.last?.nextChange ?? null;
  }

  fork(): PlannerState {
    return structuredClone(this.#state);
  }
}
