/** Asks for the next item while the one before is worked on: two at once in memory, and never more. */
export async function* readAhead<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = source.next();
  try {
    for (;;) {
      const { value, done } = await next;
      if (done === true) return;
      next = source.next();
      // It is looked at when its turn comes, or not at all if the reader gives up.
      next.catch(() => {});
      yield value;
    }
  } finally {
    await source.return(undefined);
  }
}
