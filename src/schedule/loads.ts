import type { UnixMillis } from '../model/time.ts';
import { ability, clientCap } from './estimates.ts';
import { lastStart, urgency } from './order.ts';
import type { LineRecord, PlannerState, Run } from './records.ts';

/** A line is full when its transfers have enough to send for this long (S58): whoever is started now is ready by then. */
const LEAD_S = 3;
/** A client may turn out to be faster than it was thought to be. */
const HEADROOM = 1.25;
/** Where others do without for it, it gets no more than this above what it was seen to use. */
const FINE = 1.05;
/** More than any line carries (S60). Loads are whole numbers, so that sums stay exact however often they are changed. */
const MOST = 1_000 * 1e9;

/** What is left for collecting of a rate while people restore (S65). */
export function leftOver(state: PlannerState, cap: number | null, restoring: boolean): number {
  if (cap === null) return Infinity;
  return restoring ? cap * (1 - state.conditions.restoreShare) : cap;
}

export const isRestoring = (state: PlannerState): boolean => state.restoring > 0;

export function lineCapacity(state: PlannerState, line: LineRecord): number {
  return leftOver(state, line.cap.bytesPerSecond, line.restores > 0);
}

/** What the client may and can use: works out anew what follows for the transfer's load and rate. */
function measureRun(state: PlannerState, run: Run): void {
  const [cap, able] = [clientCap(state, run.client), ability(state, run.client)];
  run.cap = cap;
  run.usable = able === Infinity ? cap : Math.min(cap, inSteps(able, FINE));
  // In coarse steps, so that learning does not change everybody's rate each time.
  run.wanted = able === Infinity ? cap : Math.min(cap, inSteps(able * HEADROOM, HEADROOM));
  run.load = loadOf(state, run, Math.min(cap, able));
}

/** The least power of `step` that is not less. */
function inSteps(rate: number, step: number): number {
  return Math.ceil(step ** Math.ceil(Math.log(rate) / Math.log(step)));
}

/** What a transfer can be expected to send per second during the lead, from now on. */
function loadOf(state: PlannerState, run: Run, able: number): number {
  if (run.beside) return 0;
  // What was withdrawn is stopping, and nobody knows how much it had left.
  const bytes = state.offers.get(run.snapshot)?.offer.bytes ?? Infinity;
  return Math.round(Math.min(able, bytes / LEAD_S, MOST));
}

/** The transfer goes over this line from now on. */
export function joinLine(state: PlannerState, line: LineRecord, run: Run): void {
  if (line.runs.size === 0) [line.slackest, line.slackUntil] = [-Infinity, Infinity];
  updateUnseen(state, line);
  line.runs.add(run);
  if (run.beside) line.beside++;
  if (!state.learnt.clients.has(run.client.id)) line.unseen++;
  if (line.unseen === 1) line.pace = state.learnt.lines.get(line.name);
  measureRun(state, run);
  line.load += run.load;
  noteSlack(state, line, run);
}

export function quitLine(state: PlannerState, line: LineRecord, run: Run): void {
  line.runs.delete(run);
  if (run.beside) line.beside--;
  line.load -= run.load;
  updateUnseen(state, line);
}

/** After its bytes, what is known of its client or its estimate have changed. */
export function updateRun(state: PlannerState, run: Run): void {
  const { line } = run.client;
  line.load -= run.load;
  measureRun(state, run);
  line.load += run.load;
  updateUnseen(state, line);
  noteSlack(state, line, run);
}

/** After something was learnt of a line: it counts for those of its clients that were never seen. */
export function updateUnseen(state: PlannerState, line: LineRecord | undefined): void {
  if (line === undefined || line.unseen === 0) return;
  if (line.pace !== state.learnt.lines.get(line.name)) countAnew(state, line);
}

/** After anything that all transfers depend on. */
export function updateAll(state: PlannerState): void {
  for (const line of state.lines.values()) if (line.runs.size > 0) countAnew(state, line);
}

function countAnew(state: PlannerState, line: LineRecord): void {
  line.load = line.unseen = 0;
  line.pace = state.learnt.lines.get(line.name);
  for (const run of line.runs) {
    measureRun(state, run);
    line.load += run.load;
    if (!state.learnt.clients.has(run.client.id)) line.unseen++;
  }
  line.slackUntil = -Infinity;
}

/** How urgent a transfer under way is: not at all if it cannot be in time or goes beside the others. */
export function standing(state: PlannerState, run: Run): UnixMillis {
  const record = run.beside ? undefined : state.offers.get(run.snapshot);
  return record === undefined ? Infinity : urgency(record, state.now);
}

/** Keeps `slackest` at or above what this transfer has. */
function noteSlack(state: PlannerState, line: LineRecord, run: Run): void {
  if (run.phase === 'stopping') return;
  const slack = standing(state, run);
  line.slackest = Math.max(line.slackest, slack);
  if (slack === Infinity) return;
  line.slackUntil = Math.min(line.slackUntil, lastStart(state.offers.get(run.snapshot)!, state.now));
}

/** The ends of some offers are others than before. */
export function forgetSlack(state: PlannerState): void {
  for (const line of state.lines.values()) line.slackUntil = -Infinity;
}

/** No transfer on the line is less urgent than this. */
export function slackestOn(state: PlannerState, line: LineRecord): UnixMillis {
  if (state.now > line.slackUntil) {
    [line.slackest, line.slackUntil] = [-Infinity, Infinity];
    for (const run of line.runs) noteSlack(state, line, run);
  }
  return line.slackest;
}
