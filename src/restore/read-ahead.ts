/**
 * Starts `work` on items of `source` before those in front have been taken, at most `depth` at once and never more in
 * memory; what comes out is in the order of the source. `work` must not throw: what it has to say is in its answer.
 */
export async function* workAhead<T, R>(
  source: AsyncGenerator<T>,
  depth: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = [];
  let next: Promise<IteratorResult<T, unknown>> | null = source.next();
  // It is looked at when its turn comes, or not at all if the reader gives up.
  next.catch(() => {});
  try {
    while (next !== null || underWay.length > 0) {
      if (next !== null && underWay.length < depth) {
        const result: IteratorResult<T, unknown> = await next;
        next = result.done === true ? null : source.next();
        next?.catch(() => {});
        if (result.done !== true) underWay.push(work(result.value));
      } else {
        yield await underWay.shift()!;
      }
    }
  } finally {
    await Promise.allSettled(underWay);
    await source.return(undefined);
  }
}
