/**
 * The items of `source`, and null whenever none came for `ms`: what a long answer sends to show that it is alive. Ends
 * with the source, or when `stop` aborts.
 */
export async function* withBeats<T>(
  source: AsyncIterable<T>,
  ms: number,
  stop: AbortSignal,
): AsyncGenerator<{ readonly item: T } | null> {
  const iterator = source[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    while (!stop.aborted) {
      const turn = await nextOrBeat(next, ms, stop);
      if (turn === 'beat') yield null;
      else if (turn === 'stopped' || turn.done === true) return;
      else {
        yield { item: turn.value };
        next = iterator.next();
      }
    }
  } finally {
    // What the source still says is nobody's business; and one that hangs must not hang its reader.
    next.catch(() => {});
    void iterator.return?.().then(undefined, () => {});
  }
}

async function nextOrBeat<T>(
  next: Promise<IteratorResult<T>>,
  ms: number,
  stop: AbortSignal,
): Promise<IteratorResult<T> | 'beat' | 'stopped'> {
  const { promise, resolve } = Promise.withResolvers<'beat' | 'stopped'>();
  const timer = setTimeout(() => resolve('beat'), ms);
  const stopped = (): void => resolve('stopped');
  stop.addEventListener('abort', stopped, { once: true });
  try {
    return await Promise.race([next, promise]);
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', stopped);
  }
}
