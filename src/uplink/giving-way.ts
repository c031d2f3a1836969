import type { OrderId } from '../model/ids.ts';
import { SECOND_MS } from '../model/time.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { Pace } from '../protocol/pace.ts';
import type { Clock } from '../world/ports.ts';
import { startYielding, yieldTo } from './yielding.ts';

/** A question that has no blocks in it takes one round trip, on a connection of its own. */
const ASK_EVERY_MS = SECOND_MS;

/** Measures the line while an order is carried out, and holds its pace down where others use it (S74). Ends with `stop`. */
export async function giveWay(
  clock: Clock,
  api: CenterApi,
  order: OrderId,
  pace: Pace,
  stop: AbortSignal,
): Promise<void> {
  let state = startYielding(clock.monotonic());
  pace.setCeiling(state.bytesPerSecond);
  while (!stop.aborted) {
    const asked = clock.monotonic();
    try {
      await api.missing(order, []);
    } catch {
      // The transfer itself will hear of it; what was allowed last stays.
      return;
    }
    const now = clock.monotonic();
    state = yieldTo(state, now - asked, now);
    pace.setCeiling(state.bytesPerSecond);
    await clock.sleep(ASK_EVERY_MS, stop);
  }
}
