/** Helpers around AbortSignal: how work is asked to stop. */

/** The reason where nobody asks for one: to make a DOMException, as `abort()` does, costs more than most work that is ended. */
export const ENDED = 'ended';

/** Resolves when `signal` aborts, or has aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** The items of `source` until it ends or `signal` aborts, even while the source keeps silent. */
export async function* untilStopped<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  const stopped = aborted(signal).then(() => null);
  try {
    while (!signal.aborted) {
      const next = await Promise.race([iterator.next(), stopped]);
      if (next === null || next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a source that hangs must not hang its reader.
    void iterator.return?.().then(undefined, () => undefined);
  }
}
