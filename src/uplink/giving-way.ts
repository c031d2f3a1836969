import type { OrderId } from '../model/ids.ts';
import { SECOND_MS } from '../model/time.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { Pace } from '../protocol/pace.ts';
import type { Clock } from '../world/ports.ts';
import { showsQueue, startYielding, yieldTo } from './yielding.ts';

/** A question that has no blocks in it takes one round trip, on a connection of its own. */
const QUESTIONS = 4;
const ASK_EVERY_MS = SECOND_MS / 10;

/** Measures the line while an order is carried out, and holds its pace down where others use it (S74). Ends with `stop`. */
export async function giveWay(
  clock: Clock,
  api: CenterApi,
  order: OrderId,
  pace: Pace,
  stop: AbortSignal,
): Promise<void> {
  let state = startYielding(clock.monotonic());
  let before = { at: clock.monotonic(), taken: pace.taken };
  pace.setCeiling(state.bytesPerSecond);
  while (!stop.aborted) {
    const trips: number[] = [];
    let queued: number | null = null;
    while (trips.length < QUESTIONS && queued === null && !stop.aborted) {
      const asked = clock.monotonic();
      try {
        await api.missing(order, []);
      } catch {
        // The transfer itself will hear of it; what was allowed last stays.
        return;
      }
      const trip = clock.monotonic() - asked;
      trips.push(trip);
      // Who has just come must not have to wait for the other questions.
      if (showsQueue(state, trip)) queued = trip;
      else await clock.sleep(ASK_EVERY_MS, stop);
    }
    const roundTrip = queued ?? trips.reduce((sum, trip) => sum + trip, 0) / Math.max(1, trips.length);
    const now = { at: clock.monotonic(), taken: pace.taken };
    const sent = ((now.taken - before.taken) / Math.max(1, now.at - before.at)) * SECOND_MS;
    before = now;
    state = yieldTo(state, { roundTrip, shortest: Math.min(...trips), sent }, now.at);
    pace.setCeiling(state.bytesPerSecond);
  }
}
