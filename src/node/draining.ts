import type { Bell } from '../model/bell.ts';
import { MINUTE_MS } from '../model/time.ts';
import type { Clock } from '../world/ports.ts';

/** What could not be freed is tried again after this. */
const RETRY_MS = 5 * MINUTE_MS;

/** Frees whenever the bell is rung, until `stop`. @param drain false if it failed */
export async function drainWhenRung(
  clock: Clock,
  bell: Bell,
  drain: () => Promise<boolean>,
  stop: AbortSignal,
): Promise<void> {
  let failed = false;
  while (!stop.aborted) {
    if (failed) await bell.waitWithin((until) => clock.sleep(RETRY_MS, until), stop);
    else await bell.wait(stop);
    if (stop.aborted) return;
    failed = !(await drain());
  }
}
