import type { UnixMillis } from '../model/time.ts';
import type { Clock } from '../world/ports.ts';
import { forever, type Incarnation } from './incarnation.ts';
import type { Timer } from './timers.ts';

/** How one machine's clock differs from virtual time. */
export interface ClockSetting {
  readonly zone: string;
  /** Milliseconds that the wall clock is ahead. */
  offset: number;
  /** How fast it runs: 1.0001 gains 8.64 s a day. */
  readonly rate: number;
}

export function wallTime(setting: ClockSetting, start: number, exactNow: number): UnixMillis {
  return Math.floor(start + (exactNow - start) * setting.rate + setting.offset);
}

/** Less than this is the rounding of virtual time, not time. */
const ROUNDING_MS = 0.01;

/**
 * The Clock port. As on Linux, the monotonic clock and every sleep stand still while the machine is suspended: code
 * that must act at an hour has to look at `now()` often. `now` and `monotonic` answer a dead incarnation too: they
 * are no effect, and what it does with them reaches nobody.
 */
export function simulatedClock(setting: ClockSetting, incarnation: Incarnation): Clock {
  const { simulation } = incarnation;
  return {
    zone: setting.zone,
    now: () => wallTime(setting, simulation.start, simulation.exactNow),
    monotonic: () => incarnation.awake() * setting.rate,
    sleep: async (ms, stop) => {
      simulation.countCall();
      if (!incarnation.alive) await forever();
      if (stop?.aborted !== true) await sleepAwake(incarnation, Math.max(0, ms) / setting.rate, stop);
      await incarnation.whenAwake();
      if (!incarnation.alive) await forever();
    },
  };
}

/** Resolves when the machine has been awake for `ms`, or `stop` aborts. */
async function sleepAwake(
  incarnation: Incarnation,
  ms: number,
  stop: AbortSignal | undefined,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const until = incarnation.awake() + ms;
  let timer: Timer | undefined;
  const look = (): void => {
    const left = until - incarnation.awake();
    if (!incarnation.alive) return;
    if (incarnation.suspended) void incarnation.whenAwake().then(look);
    else if (left > ROUNDING_MS) timer = incarnation.simulation.after(left, look);
    else resolve();
  };
  if (ms < Infinity) timer = incarnation.simulation.after(ms, look);
  const abort = (): void => resolve();
  stop?.addEventListener('abort', abort, { once: true });
  await promise;
  stop?.removeEventListener('abort', abort);
  if (timer !== undefined) timer.cancelled = true;
}
