/** How far `mappedAhead` goes ahead of its reader. */
export interface Ahead<T> {
  readonly weigh: (item: T) => number;
  /** Nothing more is asked for while what waits for the reader weighs so much. May change meanwhile. */
  readonly most: number;
}

/**
 * What `map` makes of each item, in the items' order. It is begun for items ahead of the reader, several at once. What
 * goes wrong is thrown when its turn comes, after all that came before it. Whoever ends early waits for what is under
 * way, and not for a source that keeps silent.
 */
export async function* mappedAhead<T, R>(
  source: AsyncIterable<T> | Iterable<T>,
  map: (item: T) => Promise<R>,
  ahead: Ahead<T>,
): AsyncGenerator<R> {
  const pump = new Pump(source, map, ahead);
  void pump.run();
  try {
    for (let next = await pump.next(); next !== null; next = await pump.next()) yield await next.result;
  } finally {
    await pump.stop();
  }
}

interface Begun<R> {
  readonly result: Promise<R>;
  readonly weight: number;
}

class Pump<T, R> {
  readonly #source: AsyncIterable<T> | Iterable<T>;
  readonly #map: (item: T) => Promise<R>;
  readonly #ahead: Ahead<T>;
  readonly #begun: Begun<R>[] = [];
  #weight = 0;
  #ended = false;
  #stopped = false;
  #change = Promise.withResolvers<void>();

  constructor(source: AsyncIterable<T> | Iterable<T>, map: (item: T) => Promise<R>, ahead: Ahead<T>) {
    this.#source = source;
    this.#map = map;
    this.#ahead = ahead;
  }

  get #full(): boolean {
    return this.#begun.length > 0 && this.#weight >= this.#ahead.most;
  }

  /** Never rejects. */
  async run(): Promise<void> {
    try {
      for await (const item of this.#source) {
        if (this.#stopped) return;
        const weight = this.#ahead.weigh(item);
        this.#begin(this.#map(item), weight);
        while (this.#full && !this.#stopped) await this.#change.promise;
        if (this.#stopped) return;
      }
    } catch (error) {
      this.#begin(Promise.reject(error), 0);
    } finally {
      this.#ended = true;
      this.#changed();
    }
  }

  /** Null at the end. */
  async next(): Promise<Begun<R> | null> {
    while (this.#begun.length === 0) {
      if (this.#ended) return null;
      await this.#change.promise;
    }
    const begun = this.#begun.shift()!;
    this.#weight -= begun.weight;
    this.#changed();
    return begun;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#changed();
    await Promise.allSettled(this.#begun.map(({ result }) => result));
  }

  #begin(result: Promise<R>, weight: number): void {
    // It is looked at when its turn comes, or not at all if the reader gives up.
    result.catch(() => {});
    this.#begun.push({ result, weight });
    this.#weight += weight;
    this.#changed();
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
