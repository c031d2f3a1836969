import type { ClientId } from '../model/ids.ts';
import { HOUR_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import { placeClient, setPause, setRetry } from './placing.ts';
import type { ClientRecord, OfferRecord, PlannerState, Run } from './records.ts';
import type { Work } from './work.ts';

export const BACK_OFF_FIRST_MS = 30 * SECOND_MS;
export const BACK_OFF_LAST_MS = HOUR_MS;

function delayAfter(failures: number): number {
  return Math.min(BACK_OFF_FIRST_MS * 2 ** Math.min(Math.max(failures - 1, 0), 16), BACK_OFF_LAST_MS);
}

/** S47: a failure waits longer each time; a pause that nobody ordered waits a little; an ordered one not at all. */
export function backOff(work: Work, record: OfferRecord, run: Run, outcome: 'paused' | 'failed'): void {
  const { state, now } = work;
  if (run.progressed) record.failures = 0;
  if (outcome === 'failed') record.failures++;
  else if (run.phase === 'stopping') return;
  setRetry(state, record, now + (outcome === 'paused' ? BACK_OFF_FIRST_MS : delayAfter(record.failures)));
}

/** It was ordered and did not begin. */
export function markAbsent(state: PlannerState, client: ClientRecord): void {
  client.absences++;
  pauseClient(state, client, 'client-absent', delayAfter(client.absences));
}

export function punish(state: PlannerState, id: ClientId): void {
  const client = state.clients.get(id);
  if (client === undefined) return;
  client.offences++;
  pauseClient(state, client, 'client-misbehaved', delayAfter(client.offences));
  placeClient(state, client);
}

/** Never shorter than what it is waiting for already. */
function pauseClient(
  state: PlannerState,
  client: ClientRecord,
  code: 'client-absent' | 'client-misbehaved',
  delay: number,
): void {
  const until: UnixMillis = state.now + delay;
  if (client.pause === null || client.pause.until <= until) setPause(state, client, { code, until });
}
