import type { Uplink } from '../uplink/uplink.ts';
import type { Clock } from '../world/ports.ts';

/** As long as people like to wait. */
const ASK_MS = 3000;

/**
 * What a node above said last may be hours old; one that does not answer must not hold up the status. One that could not
 * be reached is tried again: somebody looks.
 */
export async function askAbove(clock: Clock, uplinks: readonly Uplink[]): Promise<void> {
  for (const uplink of uplinks) if (!uplink.status.connected) uplink.wake();
  await withinPatience(clock, ...uplinks.map((uplink) => uplink.refresh()));
}

/** Waits for answers as long as people like to wait, whether they come or not. */
export async function withinPatience(clock: Clock, ...asking: readonly Promise<void>[]): Promise<void> {
  const over = new AbortController();
  await Promise.race([Promise.allSettled(asking), clock.sleep(ASK_MS, over.signal)]);
  over.abort();
}
