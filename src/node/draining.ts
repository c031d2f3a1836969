import type { Bell } from '../model/bell.ts';
import { MINUTE_MS } from '../model/time.ts';
import type { Clock } from '../world/ports.ts';

/** What could not be freed is tried again after this. */
export const DRAIN_AGAIN_MS = 5 * MINUTE_MS;

/**
 * Frees whenever the bell is rung, until `stop`.
 * @param drain answers after how many ms it must be called again though nobody rang; null if it need not
 */
export async function drainWhenRung(
  clock: Clock,
  bell: Bell,
  drain: () => Promise<number | null>,
  stop: AbortSignal,
): Promise<void> {
  let again: number | null = null;
  while (!stop.aborted) {
    const within: number | null = again;
    if (within === null) await bell.wait(stop);
    else await bell.waitWithin((until) => clock.sleep(within, until), stop);
    if (stop.aborted) return;
    again = await drain();
  }
}
