/** A promise that somebody will look at later: until then its failure is nobody's. */
export function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Work in the background of one run, so that the run can wait for all of it before it says that it has ended. */
export class Background {
  readonly #tasks = new Set<Promise<unknown>>();

  add(task: Promise<unknown>): void {
    const ended: Promise<void> = task.then(
      () => void this.#tasks.delete(ended),
      () => void this.#tasks.delete(ended),
    );
    this.#tasks.add(ended);
  }

  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }
}

/**
 * The items of `source` in order, while it already works on the next `depth`. When the reader leaves early, the source
 * is ended in the background: what it waits for must end too.
 */
export async function* ahead<T>(
  source: AsyncGenerator<T>,
  depth: number,
  background: Background,
): AsyncGenerator<T> {
  const coming: Promise<IteratorResult<T>>[] = [];
  try {
    while (coming.length < depth) coming.push(later(source.next()));
    for (;;) {
      const next = await coming.shift()!;
      if (next.done === true) return;
      coming.push(later(source.next()));
      yield next.value;
    }
  } finally {
    background.add(source.return(undefined));
  }
}
