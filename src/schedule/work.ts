import type { UnixMillis } from '../model/time.ts';
import type { Grant, StopCode } from './plan.ts';
import type { LineRecord, PlannerState, Run } from './records.ts';

/** One step's work. Grants are collected in two lists so that stops come first. */
export interface Work {
  readonly state: PlannerState;
  readonly now: UnixMillis;
  readonly stops: Grant[];
  readonly starts: Grant[];
  /** Something has changed that all rates depend on. */
  ratesChanged: boolean;
  /** Lines on which something has changed that rates depend on. */
  readonly touched: Set<LineRecord>;
}

export function stop(work: Work, run: Run, code: StopCode): void {
  if (run.phase === 'stopping') return;
  run.phase = 'stopping';
  work.stops.push({ kind: 'stop', snapshot: run.snapshot, client: run.client.id, code });
}
