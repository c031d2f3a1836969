import type { UnixMillis } from '../model/time.ts';
import { USUAL_HANDLING } from './handling.ts';
import { newHeap } from './heap.ts';
import { refreshRates } from './placing.ts';
import type { CenterConditions } from './plan.ts';
import type { PlannerState } from './records.ts';
import { newTracks } from './tracks.ts';

/** A planner that knows of no offer and takes every client to be offline. */
export function newPlanner(conditions: CenterConditions, now: UnixMillis): PlannerState {
  const state: PlannerState = {
    conditions,
    now,
    offers: new Map(),
    clients: new Map(),
    lines: new Map(),
    waiting: new Set(),
    runs: new Map(),
    tracks: newTracks(),
    retries: newHeap('retryPlace'),
    pauses: newHeap('pausePlace'),
    holds: new Map(),
    heldBack: new Map(),
    learnt: {
      clients: new Map(),
      lines: new Map(),
      seen: new Map(),
      bases: new Map(),
      sessions: new Map(),
      handling: USUAL_HANDLING,
    },
    learns: true,
    total: { bytesPerSecond: null, until: null },
    takes: 1,
    restoring: 0,
    narrow: false,
    rates: new Map(),
    ratesNow: '',
    ratesUntil: Infinity,
  };
  refreshRates(state);
  return state;
}
