import type { Bell } from '../model/bell.ts';
import { MINUTE_MS } from '../model/time.ts';
import type { World } from '../world/ports.ts';

/** What could not be freed is tried again after this. */
export const DRAIN_AGAIN_MS = 5 * MINUTE_MS;

/**
 * Frees when the bell is rung, until `stop`; what is rung for soon after is freed together.
 * @param drain answers after how many ms it must be called again though nobody rang; null if it need not
 */
export async function drainWhenRung(
  { clock, limits }: Pick<World, 'clock' | 'limits'>,
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
    await clock.sleep(limits.gather_ms, stop);
  }
}
