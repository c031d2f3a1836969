import type { ClientId } from '../model/ids.ts';
import { HOUR_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import type { ClientRecord, LineSeen, PlannerState, Run } from './records.ts';

/** How much a new sample counts beside all that were before: a slow moment says less about a client than a fast one. */
const FASTER_WEIGHT = 0.3;
const SLOWER_WEIGHT = 0.1;
/** Shorter ones say more about round trips than about the line. */
const SAMPLE_MS = 2 * SECOND_MS;
/** Below this part of what it may use, it is the client that cannot go faster. */
const HELD_BACK = 0.8;
/** Shorter connections were broken off; who stays longer than the second is there all day. */
const SESSION_MS = 10 * 60 * SECOND_MS;
const LASTING_MS = 20 * HOUR_MS;
/** How much one transfer counts for whether most of its line are slow, and from which part of them on that is so. */
const TURN_WEIGHT = 0.2;
const IS_SLOW = 0.6;
const STAYS_SLOW = 0.4;
const UNSEEN: LineSeen = { pace: undefined, slow: null };
/** When what was learnt of a line has changed by this much, its offers are estimated anew. */
const ANOTHER = 1.25;

/** The transfer has begun to send: from here on its pace is measured. */
export function beginSample(run: Run, bytes: number, now: UnixMillis): void {
  run.sample = { at: now, bytes, lowest: run.rate ?? Infinity };
}

/** What is granted has changed in the middle of a sample. */
export function noteRate(run: Run): void {
  const { sample, rate } = run;
  if (sample !== null) run.sample = { ...sample, lowest: Math.min(sample.lowest, rate ?? Infinity) };
}

/** Learns from what a transfer did until now. `bytes` remain. */
export function takeSample(state: PlannerState, run: Run, bytes: number): void {
  const { sample, client } = run;
  if (sample === null || !state.learns) return;
  const elapsed = state.now - sample.at;
  // Until the first byte it is not the line that takes the time.
  if (elapsed < 0 || bytes >= run.from) return beginSample(run, bytes, state.now);
  if (elapsed < SAMPLE_MS) return;
  const seen = ((sample.bytes - bytes) / elapsed) * SECOND_MS;
  beginSample(run, bytes, state.now);
  if (seen <= 0) return;
  const known = state.learnt.clients.get(client.id);
  const slow = seen < HELD_BACK * sample.lowest;
  run.slowness += slow ? 1 : -1;
  if (slow) learn(state, client.id, client.line.name, seen);
  // It was the grant that held it back: it can do this at least.
  else if (known !== undefined && seen > known) state.learnt.clients.set(client.id, seen);
}

/** What one client of a line was seen to be able to send. */
export function learn(state: PlannerState, client: ClientId, line: string | null, seen: number): void {
  const { clients, seen: lines } = state.learnt;
  clients.set(client, blend(clients.get(client), seen));
  const { pace, slow } = lines.get(line) ?? UNSEEN;
  noteLine(state, line, { pace: blend(pace, seen), slow });
}

/** A transfer has ended: was it the client that could not go faster, or what it was granted? Each counts once. */
export function judgeRun(state: PlannerState, { slowness, client }: Run): void {
  if (slowness !== 0 && state.learns) countSlow(state, client.line.name, slowness > 0);
}

/** Of a line: that a transfer of it was slower than what it was granted, or was not. */
export function countSlow(state: PlannerState, line: string | null, wasSlow: boolean): void {
  const { pace, slow } = state.learnt.seen.get(line) ?? UNSEEN;
  const [now, before] = [wasSlow ? 1 : 0, slow ?? (wasSlow ? 1 : 0)];
  noteLine(state, line, { pace, slow: before + TURN_WEIGHT * (now - before) });
}

/** What is known of a line counts for all of its clients unless most of its transfers are as fast as they may be. */
function noteLine({ learnt }: PlannerState, name: string | null, line: LineSeen): void {
  learnt.seen.set(name, line);
  const { pace, slow } = line;
  const enough = learnt.lines.has(name) ? STAYS_SLOW : IS_SLOW;
  if (pace !== undefined && (slow ?? 1) >= enough) learnt.lines.set(name, pace);
  else learnt.lines.delete(name);
}

/** Whether what is known of a line has changed so much that its offers have to be estimated anew. Asked once. */
export function isLearntAnew({ learnt }: PlannerState, line: string | null): boolean {
  const [known, basis] = [learnt.lines.get(line), learnt.bases.get(line)];
  if (known === undefined) return learnt.bases.delete(line);
  if (basis !== undefined && known <= basis * ANOTHER && known >= basis / ANOTHER) return false;
  learnt.bases.set(line, known);
  return true;
}

/** From how long it used to stay (S67); null if that says nothing. */
export function expectedLeave({ learnt }: PlannerState, { id, since }: ClientRecord): UnixMillis | null {
  const session = learnt.sessions.get(id);
  return session === undefined || session > LASTING_MS ? null : since + session;
}

/** The client goes: how long did it stay? */
export function learnSession({ learnt, now }: PlannerState, { id, since }: ClientRecord): void {
  const stayed = now - since;
  if (stayed >= SESSION_MS) learnt.sessions.set(id, blend(learnt.sessions.get(id), stayed));
}

function blend(known: number | undefined, seen: number): number {
  if (known === undefined) return seen;
  return known + (seen > known ? FASTER_WEIGHT : SLOWER_WEIGHT) * (seen - known);
}
