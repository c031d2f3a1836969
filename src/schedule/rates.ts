import { SECOND_MS } from '../model/time.ts';
import { noteRate } from './learning.ts';
import { isRestoring, leftOver, lineCapacity } from './loads.ts';
import { datedEnd, nightEnd } from './order.ts';
import type { Rate } from './plan.ts';
import type { LineRecord, PlannerState, Run } from './records.ts';
import type { Work } from './work.ts';

/** Who has less time left than this in spare gets what it can use before the others. */
const SPARE_MS = 600 * SECOND_MS;
/** A rate that rises by less is not told. */
const WORTH_TELLING = 1.05;
const NO_RATES: readonly Rate[] = [];

interface Share {
  readonly run: Run;
  readonly cap: number;
  readonly wanted: number;
  granted: number;
  /** Scratch: what it gets more in this round. */
  more: number;
}

interface Sharing {
  readonly shares: readonly Share[];
  left: number;
}

/**
 * S59: max-min fair shares of the center and of the lines; who has little time left comes first. A line on which nothing
 * has changed is left alone where the center can take what all lines carry.
 */
export function shareRates(work: Work): readonly Rate[] {
  const { state } = work;
  if (!work.ratesChanged && work.touched.size === 0) return NO_RATES;
  if (!hasRates(state)) return NO_RATES;
  const total = leftOver(state, state.total.bytesPerSecond, isRestoring(state));
  const narrow = isNarrow(state, total);
  const all = work.ratesChanged || narrow || state.narrow;
  state.narrow = narrow;
  const sharing: Sharing[] = [];
  for (const line of all ? state.lines.values() : work.touched) {
    if (line.runs.size > 0) sharing.push(sharingOf(state, line));
  }
  const left = { total: narrow ? total : Infinity };
  pour(sharing, left, ({ run }) => (run.urgent ? run.usable : 0));
  pour(sharing, left, ({ run }) => run.usable);
  pour(sharing, left, ({ wanted }) => wanted);
  pour(sharing, left, ({ cap }) => cap);
  const rates: Rate[] = [];
  for (const { shares } of sharing) for (const share of shares) tell(rates, share);
  return rates;
}

/** Whether the center has less than what its lines carry together. */
function isNarrow(state: PlannerState, total: number): boolean {
  if (total === Infinity) return false;
  let sum = 0;
  for (const line of state.lines.values()) if (line.runs.size > 0) sum += lineCapacity(state, line);
  return sum > total;
}

function sharingOf(state: PlannerState, line: LineRecord): Sharing {
  const shares = Array.from(line.runs, (run): Share => {
    run.urgent = isUrgent(state, run);
    return { run, cap: run.cap, wanted: run.wanted, granted: 0, more: 0 };
  });
  return { shares, left: lineCapacity(state, line) };
}

/** Has little to spare until its end, or is a little late: it gets what it can use before the others. */
export function isUrgent(state: PlannerState, run: Run): boolean {
  const record = state.offers.get(run.snapshot);
  if (record === undefined || run.beside || run.phase === 'stopping') return false;
  const end = Math.min(nightEnd(record), datedEnd(record));
  return Math.abs(end - record.expected - state.now) < SPARE_MS;
}

/** Whether anything at all is limited. */
export function hasRates({ conditions }: PlannerState): boolean {
  const { rate, lines, clientRate, clientRates } = conditions;
  return rate.rows.length + clientRate.rows.length + lines.size + clientRates.size > 0;
}

/** Fills everybody up to what it may have, evenly, as far as line and center allow. */
function pour(sharing: readonly Sharing[], left: { total: number }, upTo: (share: Share) => number): void {
  for (const { shares, left } of sharing) {
    for (const share of shares) share.more = Math.max(0, upTo(share) - share.granted) || 0;
    levelOut(shares, left);
  }
  if (left.total !== Infinity) {
    levelOut(
      sharing.flatMap(({ shares }) => shares),
      left.total,
    );
  }
  for (const each of sharing) {
    let sum = 0;
    for (const share of each.shares) {
      share.granted += share.more;
      sum += share.more;
    }
    if (each.left !== Infinity) each.left -= sum;
    if (left.total !== Infinity) left.total -= sum;
  }
}

/** Lowers all to the level up to which everybody can be filled from `capacity`. */
function levelOut(shares: readonly Share[], capacity: number): void {
  let sum = 0;
  for (const { more } of shares) sum += more;
  if (sum <= capacity) return;
  const level = waterLevel(
    shares.map(({ more }) => more),
    capacity,
  );
  for (const share of shares) share.more = Math.min(share.more, level);
}

/** @param wanted more than there is, altogether */
function waterLevel(wanted: readonly number[], capacity: number): number {
  const sorted = Float64Array.from(wanted).sort();
  let [left, others] = [Math.max(0, capacity), sorted.length];
  for (const amount of sorted) {
    if (amount * others > left) return left / others;
    left -= amount;
    others--;
  }
  return Infinity;
}

/** Lower rates are told at once: the sum must never be above what there is. */
function tell(rates: Rate[], { run, granted }: Share): void {
  const rate = granted === Infinity ? null : Math.floor(granted);
  const [now, before] = [rate ?? Infinity, run.rate ?? Infinity];
  if (now >= before && now <= before * WORTH_TELLING) return;
  run.rate = rate;
  noteRate(run);
  rates.push({ snapshot: run.snapshot, bytesPerSecond: rate });
}
