import type { ClientId, SnapshotId } from '../model/ids.ts';
import { DAY_MS, type UnixMillis } from '../model/time.ts';
import { playOn, type Passage } from './fluid.ts';
import type { ReasonCode } from './plan.ts';
import type { PlannerState } from './planner.ts';
import { nextInterval } from './windows.ts';

/** Transfers may be so much slower, and faster, than what was learnt of them. */
const SLOWER = 0.75;
const FASTER = 1.25;
/** What does not fit tonight is followed for so long after it. */
const AFTERWARDS_MS = 3 * DAY_MS;

/** A moment that is not known better than this. */
export interface Range {
  readonly early: UnixMillis;
  readonly likely: UnixMillis;
  readonly late: UnixMillis;
}

export interface OfferForecast {
  readonly snapshot: SnapshotId;
  readonly client: ClientId;
  readonly line: string | null;
  readonly job: string;
  readonly bytes: number;
  /** How many start before it, itself included; 0 while it is being sent; null if it does not start. */
  readonly place: number | null;
  /** Null: not within the forecast. */
  readonly start: Range | null;
  readonly end: Range | null;
  /** When it is expected to be on the wire. */
  readonly stretches: readonly { readonly start: UnixMillis; readonly end: UnixMillis }[];
  /** Whether it is expected to be collected when the night is over. */
  readonly fits: boolean;
  /** What keeps it at the end of the night, if it does not fit. */
  readonly why: ReasonCode | null;
}

export interface Forecast {
  readonly from: UnixMillis;
  /** The end of the night: of the center's interval that is open or comes next, or a day if that does not end. */
  readonly nightEnd: UnixMillis;
  /** In the order in which they are expected to start, then those that do not. */
  readonly offers: readonly OfferForecast[];
  readonly fitting: Total;
  readonly left: Total;
  /** When the last of all that fits is expected to be collected; null if nothing does. */
  readonly done: UnixMillis | null;
}

export interface Total {
  readonly offers: number;
  readonly bytes: number;
}

export interface ForecastAsk {
  /** Of the night whose totals are asked for; the one that is on, or comes next, if left out. */
  readonly nightEnd?: UnixMillis;
  /** As if every client were connected. */
  readonly everybody?: boolean;
}

/**
 * What will happen (S70, S71): the planner itself, played on with transfers that flow evenly, from the state as it is.
 * The state is not changed.
 */
export function forecast(state: PlannerState, now: UnixMillis, ask: ForecastAsk = {}): Forecast {
  const { nightEnd = nightEndOf(state, now), everybody = false } = ask;
  const play = (pace: number): Map<SnapshotId, Passage> =>
    playOn(structuredClone(state), now, { until: nightEnd + AFTERWARDS_MS, nightEnd, pace, everybody });
  const [likely, slow, fast] = [play(1), play(SLOWER), play(FASTER)];
  const going = underWay(state);
  const offers = [...state.offers.values()].map(({ offer, client }): OfferForecast => {
    const { snapshot, job, bytes } = offer;
    const passages = [fast, likely, slow].map((played) => played.get(snapshot)!);
    const passage = likely.get(snapshot)!;
    const fits = passage.end !== null && passage.end <= nightEnd;
    return {
      snapshot,
      client: client.id,
      line: client.line.name,
      job,
      bytes,
      place: passage.place === null ? null : Math.max(0, passage.place + 1 - going),
      start: rangeOf(passages.map(({ stretches }) => stretches[0]?.start ?? null)),
      end: rangeOf(passages.map(({ end }) => end)),
      stretches: passage.stretches,
      fits,
      why: fits ? null : passage.kept,
    };
  });
  offers.sort((a, b) => (a.place ?? Infinity) - (b.place ?? Infinity) || 0);
  return { from: now, nightEnd, offers, ...totalsOf(offers) };
}

function nightEndOf(state: PlannerState, now: UnixMillis): UnixMillis {
  return nextInterval(state.conditions.windows, now)?.end ?? now + DAY_MS;
}

const underWay = ({ runs, offers }: PlannerState): number =>
  [...runs.keys()].filter((snapshot) => offers.has(snapshot)).length;

/** @param moments when transfers are fast, as they are likely to be, and slow */
function rangeOf([fast, likely, slow]: readonly (UnixMillis | null)[]): Range | null {
  if (likely === null || likely === undefined) return null;
  // Slower neighbours can be good luck: somebody else's place becomes free.
  const known = [fast ?? likely, likely, slow ?? likely];
  return { early: Math.min(...known), likely, late: Math.max(...known) };
}

function totalsOf(offers: readonly OfferForecast[]): Pick<Forecast, 'fitting' | 'left' | 'done'> {
  const totalOf = (list: readonly OfferForecast[]): Total => ({
    offers: list.length,
    bytes: list.reduce((sum, { bytes }) => sum + bytes, 0),
  });
  const fitting = offers.filter(({ fits }) => fits);
  const done = fitting.reduce((last, { end }) => Math.max(last, end!.likely), -Infinity);
  return {
    fitting: totalOf(fitting),
    left: totalOf(offers.filter(({ fits }) => !fits)),
    done: fitting.length === 0 ? null : done,
  };
}
