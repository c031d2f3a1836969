import { SECOND_MS } from '../model/time.ts';
import { ability, clientCap, noteRate } from './estimates.ts';
import { datedEnd, nightEnd } from './order.ts';
import type { Rate } from './plan.ts';
import type { ClientRecord, LineRecord, PlannerState, Run } from './records.ts';

/** A line is full when its transfers have enough to send for this long (S58): whoever is started now is ready by then. */
const LEAD_S = 3;
/** A client may turn out to be faster than it was thought to be. */
const HEADROOM = 1.25;
/** Who has less time left than this in spare gets what it can use before the others. */
const SPARE_MS = 600 * SECOND_MS;
/** A rate that rises by less is not told. */
const WORTH_TELLING = 1.05;

/** What is left for collecting of a rate while people restore (S65). */
export function leftOver(state: PlannerState, cap: number | null, restoring: boolean): number {
  if (cap === null) return Infinity;
  return restoring ? cap * (1 - state.conditions.restoreShare) : cap;
}

export const isRestoring = (state: PlannerState): boolean =>
  [...state.lines.values()].some(({ restores }) => restores > 0);

export function lineCapacity(state: PlannerState, line: LineRecord): number {
  return leftOver(state, line.cap.bytesPerSecond, line.restores > 0);
}

/** What a transfer can be expected to send per second during the lead, from now on. */
export function loadOf(state: PlannerState, run: Run): number {
  if (run.beside) return 0;
  // What was withdrawn is stopping, and nobody knows how much it had left.
  const bytes = state.offers.get(run.snapshot)?.offer.bytes ?? Infinity;
  return Math.min(ability(state, run.client), clientCap(state, run.client), bytes / LEAD_S);
}

interface Share {
  readonly run: Run;
  readonly cap: number;
  readonly wanted: number;
  granted: number;
}

/** S59: max-min fair shares of the center and of the lines; who has little time left comes first. */
export function shareRates(state: PlannerState, restoring: boolean): Rate[] {
  const shares = [...state.runs.values()].map((run) => shareOf(state, run));
  const lines = new Map<LineRecord, Share[]>();
  for (const share of shares) {
    const { line } = share.run.client;
    const sharing = lines.get(line);
    if (sharing === undefined) lines.set(line, [share]);
    else sharing.push(share);
  }
  const left: Left = {
    total: leftOver(state, state.total.bytesPerSecond, restoring),
    lines: new Map([...lines.keys()].map((line) => [line, lineCapacity(state, line)])),
  };
  pour(lines, left, ({ run, wanted }) => (run.urgent ? wanted : 0));
  pour(lines, left, ({ wanted }) => wanted);
  pour(lines, left, ({ cap }) => cap);
  return shares.flatMap(({ run, granted }) => tell(run, granted));
}

function shareOf(state: PlannerState, run: Run): Share {
  run.urgent = isUrgent(state, run);
  return { run, cap: clientCap(state, run.client), wanted: wantedRate(state, run.client), granted: 0 };
}

/** Has little to spare until its end, or is a little late: it gets what it can use before the others. */
export function isUrgent(state: PlannerState, run: Run): boolean {
  const record = state.offers.get(run.snapshot);
  if (record === undefined || run.beside || run.phase === 'stopping') return false;
  const end = Math.min(nightEnd(record), datedEnd(record));
  return Math.abs(end - record.expected - state.now) < SPARE_MS;
}

/** In coarse steps, so that learning does not change everybody's rate each time. */
export function wantedRate(state: PlannerState, client: ClientRecord): number {
  const [cap, able] = [clientCap(state, client), ability(state, client)];
  return able === Infinity ? cap : Math.min(cap, coarse(able * HEADROOM));
}

/** Whether anything at all is limited. */
export function hasRates({ conditions }: PlannerState): boolean {
  const { rate, lines, clientRate, clientRates } = conditions;
  return rate.rows.length + clientRate.rows.length + lines.size + clientRates.size > 0;
}

function coarse(rate: number): number {
  return Math.ceil(HEADROOM ** Math.ceil(Math.log(rate) / Math.log(HEADROOM)));
}

interface Left {
  total: number;
  readonly lines: Map<LineRecord, number>;
}

/** Fills everybody up to what it may have, evenly, as far as line and center allow. */
function pour(
  lines: ReadonlyMap<LineRecord, readonly Share[]>,
  left: Left,
  upTo: (share: Share) => number,
): void {
  const wishes: { share: Share; amount: number }[] = [];
  for (const [line, shares] of lines) {
    const wanted = shares.map((share) => missingTo(share, upTo(share)));
    const level = waterLevel(wanted, left.lines.get(line)!);
    shares.forEach((share, i) => wishes.push({ share, amount: Math.min(wanted[i]!, level) }));
  }
  const level = waterLevel(
    wishes.map(({ amount }) => amount),
    left.total,
  );
  for (const { share, amount } of wishes) {
    const more = Math.min(amount, level);
    if (more === 0) continue;
    share.granted += more;
    const { line } = share.run.client;
    left.total -= left.total === Infinity ? 0 : more;
    const before = left.lines.get(line)!;
    if (before !== Infinity) left.lines.set(line, before - more);
  }
}

function missingTo({ granted }: Share, goal: number): number {
  return goal > granted ? goal - granted : 0;
}

/** The level up to which all can be filled from `capacity`; infinite if there is enough for all. */
function waterLevel(wanted: readonly number[], capacity: number): number {
  if (capacity === Infinity) return Infinity;
  const sorted = [...wanted].sort((a, b) => a - b);
  let [left, others] = [Math.max(0, capacity), sorted.length];
  for (const amount of sorted) {
    if (amount * others > left) return left / others;
    left -= amount;
    others--;
  }
  return Infinity;
}

/** Lower rates are told at once: the sum must never be above what there is. */
function tell(run: Run, granted: number): Rate[] {
  const rate = granted === Infinity ? null : Math.floor(granted);
  const [now, before] = [rate ?? Infinity, run.rate ?? Infinity];
  if (now >= before && now <= before * WORTH_TELLING) return [];
  run.rate = rate;
  noteRate(run);
  return [{ snapshot: run.snapshot, bytesPerSecond: rate }];
}
