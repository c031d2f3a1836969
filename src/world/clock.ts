import type { Clock } from './ports.ts';

/** setTimeout takes no more than this. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * The machine's clock. `sleep` keeps the process alive, as whoever sleeps still has something to do; a day's end
 * comes by its `stop`.
 */
export function realClock(): Clock {
  let zone: string | undefined;
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    sleep,
    // It takes longer to find out than most programs need it.
    get zone() {
      return (zone ??= machineZone());
    },
  };
}

async function sleep(ms: number, stop?: AbortSignal): Promise<void> {
  const end = performance.now() + ms;
  let left = Math.max(ms, 0);
  do {
    if (stop?.aborted) return;
    await sleepOnce(Math.min(left, LONGEST_MS), stop);
    left = end - performance.now();
  } while (left > 0);
}

function sleepOnce(ms: number, stop?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      stop?.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, Math.ceil(ms));
    stop?.addEventListener('abort', wake);
  });
}

/** An IANA name always: whatever TZ or the system say that is none becomes UTC. */
function machineZone(): string {
  const zone: string | undefined = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone === undefined || !/^[A-Za-z]/.test(zone) || zone === 'Etc/Unknown') return 'UTC';
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return 'UTC';
  }
}
