import type { Event, Problem, Progress } from '../../src/model/events.ts';
import type { Monitor } from '../../src/world/ports.ts';

export const silentMonitor: Monitor = { event() {}, problem() {}, progress() {} };

export interface CollectingMonitor extends Monitor {
  readonly events: Event[];
  readonly problems: Problem[];
  /** The last of each kind of work. */
  readonly progressOf: Map<string, Progress>;
}

/** Keeps everything it is told. */
export function collectingMonitor(): CollectingMonitor {
  const events: Event[] = [];
  const problems: Problem[] = [];
  const progressOf = new Map<string, Progress>();
  return {
    events,
    problems,
    progressOf,
    event: (event) => void events.push(structuredClone(event)),
    problem: (problem) => void problems.push(structuredClone(problem)),
    progress: (progress) => void progressOf.set(progress.doing, progress),
  };
}
