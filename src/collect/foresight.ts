import { type ForecastRow, noteForecasts } from '../ledger/forecasts.ts';
import { isLowtideError, messageOf } from '../model/errors.ts';
import type { Expected } from '../model/exchange.ts';
import type { SnapshotId } from '../model/ids.ts';
import { MINUTE_MS, type UnixMillis } from '../model/time.ts';
import { type Forecast, forecast } from '../schedule/forecast.ts';
import type { PlannerState } from '../schedule/planner.ts';
import type { Task } from '../world/ports.ts';
import type { CollectorParts } from './parts.ts';
import type { Planning } from './planning.ts';

/** With more than this in the queue it would take a thread for seconds. */
const OFFERS_MAX = 5000;
/** It is not foreseen anew before the last is so many times as old as it took: a twentieth of one thread at most. */
const COSTS = 20;
/** What was foreseen is told for so long, if nothing has happened since. */
const STALE_MS = MINUTE_MS;
/** While something waits it is foreseen at least so often, so that what came meanwhile is judged afterwards too. */
const WATCH_MS = 10 * MINUTE_MS;

interface Question {
  readonly state: PlannerState;
  readonly now: UnixMillis;
}

export function foresee({ state, now }: Question): Forecast {
  return forecast(state, now);
}

const foreseeing: Task<Question, Forecast> = { module: import.meta.url, name: 'foresee', run: foresee };

/**
 * What the clients are told of when their turn will be (S75): the forecast, as old as it may be. Played in a worker thread.
 * The first that is foreseen of each snapshot is kept in the ledger, to be compared with what happened.
 */
export class Foresight {
  readonly #parts: CollectorParts;
  readonly #planning: Planning;
  readonly #expected = new Map<SnapshotId, Expected>();
  /** Snapshots whose first forecast is in the ledger. */
  readonly #noted = new Set<SnapshotId>();
  #madeAt = -Infinity;
  #cost = 0;
  #changes = -1;
  #underWay: Promise<void> | null = null;

  constructor(parts: CollectorParts, planning: Planning) {
    this.#parts = parts;
    this.#planning = planning;
  }

  /** Of these, as far as it is known. Waits for a new forecast if one is due. */
  async of(snapshots: readonly SnapshotId[]): Promise<ReadonlyMap<SnapshotId, Expected>> {
    if (snapshots.length === 0) return new Map();
    await this.#renew();
    return new Map(
      snapshots.flatMap((id): [SnapshotId, Expected][] => {
        const expected = this.#expected.get(id);
        return expected === undefined ? [] : [[id, expected]];
      }),
    );
  }

  /** Called now and then: what nobody asks for is foreseen too, if rarely. */
  async keepUp(): Promise<void> {
    if (this.#age >= WATCH_MS) await this.#renew();
  }

  get #age(): number {
    return this.#parts.world.clock.monotonic() - this.#madeAt;
  }

  /** Foresees anew if something has happened since, or it is old; not if that was a moment ago. */
  async #renew(): Promise<void> {
    if (this.#underWay !== null) return await this.#underWay;
    const age = this.#age;
    const same = this.#changes === this.#planning.changes && age < STALE_MS;
    if (same || age < Math.max(this.#parts.world.limits.foresee_ms, COSTS * this.#cost)) return;
    this.#underWay = this.#foresee().finally(() => (this.#underWay = null));
    await this.#underWay;
  }

  /** Nothing of it goes on. */
  async settled(): Promise<void> {
    await this.#underWay;
  }

  async #foresee(): Promise<void> {
    const { world } = this.#parts;
    const { outstanding, changes } = this.#planning;
    this.#madeAt = world.clock.monotonic();
    this.#changes = changes;
    const now = world.clock.now();
    try {
      if (outstanding === 0 || outstanding > OFFERS_MAX) return this.#expected.clear();
      const state = this.#planning.copy();
      const told = await world.work.run(foreseeing, { state, now });
      this.#cost = world.clock.monotonic() - this.#madeAt;
      await this.#take(told, now);
    } catch (error) {
      const code = isLowtideError(error) ? error.code : 'crashed';
      // The node is being stopped.
      if (code === 'interrupted') return;
      const message = `what waits could not be foreseen: ${messageOf(error)}`;
      world.monitor.event({ kind: 'alarm', code, message });
    }
  }

  async #take({ offers }: Forecast, now: UnixMillis): Promise<void> {
    const { ledger, center } = this.#parts;
    this.#expected.clear();
    const news: ForecastRow[] = [];
    for (const { snapshot, place, end } of offers) {
      if (end === null) continue;
      const { early, late, likely } = end;
      this.#expected.set(snapshot, { by: center.name, at: now, place, early, late });
      if (!this.#noted.has(snapshot)) news.push({ snapshot, madeAt: now, early, likely, late });
    }
    const waiting = new Set(offers.map(({ snapshot }) => snapshot));
    for (const id of this.#noted) if (!waiting.has(id)) this.#noted.delete(id);
    if (news.length === 0) return;
    await ledger.transaction((db) => noteForecasts(db, news));
    for (const { snapshot } of news) this.#noted.add(snapshot);
  }
}
