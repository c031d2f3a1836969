import type { VerbMonitor } from './context.ts';
import { LogMonitor } from './log-monitor.ts';
import type { Output } from './output.ts';

/** Makes the log of a daemon, and lets the verb have it once it exists. */
export function logFor(zone: string): {
  readonly make: (output: Output) => VerbMonitor;
  readonly log: () => LogMonitor;
} {
  let made: LogMonitor | undefined;
  return {
    make: (output) => (made = new LogMonitor(output, zone)),
    log: () => {
      if (made === undefined) throw new TypeError('the log is made before the verb runs');
      return made;
    },
  };
}

/** The same work however often it is asked for. */
export function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}

/**
 * Runs parts of a daemon side by side until `stop`. When one fails, the others are stopped too, and its error is thrown
 * once they are done.
 */
export async function runParts(
  stop: AbortSignal,
  parts: readonly ((stop: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const failed = new AbortController();
  const until = AbortSignal.any([stop, failed.signal]);
  const ended = await Promise.allSettled(
    parts.map((part) =>
      part(until).catch((error: unknown) => {
        failed.abort();
        throw error;
      }),
    ),
  );
  const failure = ended.find((end) => end.status === 'rejected');
  if (failure !== undefined && !stop.aborted) throw failure.reason;
}
