import { LowtideError } from '../../model/errors.ts';

interface Ending {
  readonly error: unknown;
}

/** A bounded queue between one that gives and one that takes; both may wait for the other. */
export class Channel<T> implements AsyncIterable<T> {
  readonly #most: number;
  readonly #items: T[] = [];
  #ending: Ending | null = null;
  #closed = false;
  #giver: { resolve: () => void; reject: (error: unknown) => void } | null = null;
  #taker: (() => void) | null = null;

  /** @param most items that wait to be taken */
  constructor(most: number) {
    this.#most = most;
  }

  /** Resolves when there is room for more. @throws LowtideError `interrupted` once the taker has left */
  push(item: T): Promise<void> {
    if (this.#closed) return Promise.reject(leftError());
    this.#items.push(item);
    this.#wake();
    if (this.#items.length < this.#most) return Promise.resolve();
    return new Promise((resolve, reject) => (this.#giver = { resolve, reject }));
  }

  /** Nothing more comes. @param error what the taker gets after the last item, if anything */
  end(error: unknown = null): void {
    this.#ending ??= { error };
    this.#wake();
  }

  /** The taker has left: the giver must not wait for it. */
  close(): void {
    this.#closed = true;
    this.#giver?.reject(leftError());
    this.#giver = null;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#giver?.resolve();
        this.#giver = null;
        yield item;
      } else if (this.#closed) throw leftError();
      else if (this.#ending === null) await new Promise<void>((resolve) => (this.#taker = resolve));
      else if (this.#ending.error === null) return;
      else throw this.#ending.error;
    }
  }

  #wake(): void {
    this.#taker?.();
    this.#taker = null;
  }
}

const leftError = (): LowtideError => new LowtideError('interrupted', 'the backup has been stopped');
