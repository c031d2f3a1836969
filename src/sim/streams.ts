import type { Call, CallSide, Direction } from './call.ts';
import { copyMessage } from './message.ts';

/**
 * The receiving end of a stream of items. The sender may be `window` items ahead of the reader, and no more.
 */
export class Inbox<T> implements AsyncIterableIterator<T> {
  readonly #side: CallSide;
  readonly #window: number;
  readonly #onReturn: () => void;
  #items: T[] = [];
  #outstanding = 0;
  #over: { readonly error: unknown } | null = null;
  #changed = Promise.withResolvers<void>();

  /** @param onReturn the reader wants no more */
  constructor(side: CallSide, window: number, onReturn: () => void) {
    this.#side = side;
    this.#window = window;
    this.#onReturn = onReturn;
    side.onEnd((error) => {
      // What a broken connection has not handed over is lost.
      if (error !== null) this.#items = [];
      this.end(error);
    });
  }

  /** For the sender: resolves when one more item may be on its way. Never when no more are wanted. */
  async room(): Promise<void> {
    while (this.#outstanding >= this.#window || this.#over !== null) await this.#changed.promise;
    this.#outstanding++;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#notify();
  }

  /** No more items come; an error is told after those that have come. */
  end(error: unknown): void {
    this.#over ??= { error };
    this.#notify();
  }

  async next(): Promise<IteratorResult<T>> {
    while (this.#items.length === 0) {
      if (this.#over !== null) {
        const { error } = this.#over;
        this.#over = { error: null };
        await this.#side.incarnation.answer(() => {});
        if (error !== null) throw error;
        return { done: true, value: undefined };
      }
      await this.#changed.promise;
    }
    const value = this.#items.shift() as T;
    this.#outstanding--;
    this.#notify();
    await this.#side.incarnation.answer(() => {});
    return { done: false, value };
  }

  async return(): Promise<IteratorResult<T>> {
    const early = this.#over === null;
    this.#items = [];
    this.end(null);
    if (early) this.#onReturn();
    await this.#side.incarnation.answer(() => {});
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

export interface PumpParts<T> {
  readonly call: Call;
  readonly direction: Direction;
  /** The sending side. */
  readonly side: CallSide;
  readonly source: AsyncIterable<T>;
  readonly inbox: Inbox<T>;
  /** Resolves when the reader wants no more. */
  readonly enough: Promise<void>;
  /** The end of the stream has arrived. */
  readonly onEnd: () => void;
}

/**
 * Sends what the source gives, item by item, until it ends, the reader wants no more or the side has ended.
 * @throws what the source throws
 */
export async function pump<T>(parts: PumpParts<T>): Promise<void> {
  const { call, direction, side, source, inbox, enough } = parts;
  const iterator = source[Symbol.asyncIterator]();
  const ended = new Promise<void>((resolve) => side.onEnd(() => resolve()));
  const stop = Promise.race([enough, ended]).then(() => null);
  try {
    for (;;) {
      if ((await Promise.race([inbox.room().then(() => true), stop])) === null || side.ended) return;
      await side.incarnation.answer(() => {});
      const next = await Promise.race([iterator.next(), stop]);
      if (next === null || side.ended) return;
      if (next.done === true) {
        await call.send(direction, 'end', copyMessage(null), parts.onEnd);
        return;
      }
      const copied = copyMessage(next.value);
      await call.send(direction, 'item', copied, () => inbox.push(copied.value));
    }
  } finally {
    // Not awaited: a source that hangs must not hang the connection.
    void iterator.return?.().then(undefined, () => undefined);
  }
}
