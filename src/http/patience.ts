import type { Readable } from 'node:stream';

/** How long to wait for a peer, and what to throw when that was in vain. */
export interface Patience {
  readonly idle_ms: number;
  /** 0: any pace will do, as long as something comes within `idle_ms`. */
  readonly bytes_per_second_min: number;
  /** Ends the waiting with its reason, which must be an Error. */
  readonly stop?: AbortSignal;
  readonly late: () => Error;
  readonly broken: (cause: unknown) => Error;
}

/**
 * The chunks of a stream, all that have come at once, as slowly as the caller takes them: only time spent waiting for the peer counts. Bytes buy
 * time back at the least allowed rate, so that one byte a second does not keep a stream alive. Whoever ends it early
 * finds the stream paused: `resume` drops the rest.
 */
export async function* patiently(
  stream: Readable,
  patience: Patience,
): AsyncGenerator<readonly Uint8Array[]> {
  const { idle_ms } = patience;
  const chunks = new Chunks(stream);
  let waited = 0;
  try {
    for (;;) {
      const here = chunks.take();
      if (here !== null) {
        // It came while the caller was at work, so it bought what it is worth and waited for nobody.
        patience.stop?.throwIfAborted();
        waited = Math.max(0, waited - timeFor(here, patience));
        yield here;
        continue;
      }
      const from = performance.now();
      const came = await within(chunks.next(), idle_ms - waited, patience);
      if (came === null) return;
      waited = Math.max(0, waited + performance.now() - from - timeFor(came, patience));
      yield came;
    }
  } finally {
    chunks.letGo();
  }
}

/** Milliseconds that these chunks buy. */
function timeFor(chunks: readonly Uint8Array[], { idle_ms, bytes_per_second_min }: Patience): number {
  if (bytes_per_second_min === 0) return idle_ms;
  return (chunks.reduce((sum, { length }) => sum + length, 0) * 1000) / bytes_per_second_min;
}

/** More will follow at once on a chunk of so many bytes; of fewer, nobody knows. */
const BULK_BYTES = 4 * 1024;
/** What may come while the caller is at work. */
const AHEAD_BYTES = 256 * 1024;

/**
 * A stream's own async iterator would keep its hands on the stream while it waits. Of many bytes, what comes in one turn of the event
 * loop is given at once: a promise for each record of 16 KiB would cost more than all else that is done with it.
 */
class Chunks {
  readonly #stream: Readable;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #wake: (() => void) | null = null;
  #turn: NodeJS.Immediate | null = null;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on('data', this.#take).on('end', this.#rouse).on('error', this.#rouse).on('close', this.#rouse);
    stream.pause();
  }

  /** Null at the end; throws what broke the stream, undefined if it just closed. */
  async next(): Promise<readonly Uint8Array[] | null> {
    const stream = this.#stream;
    while (this.#held.length === 0) {
      if (stream.readableEnded) return null;
      if (stream.destroyed) throw stream.errored;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        stream.resume();
      });
    }
    return this.take();
  }

  /** What is here already; null if nothing is. */
  take(): readonly Uint8Array[] | null {
    if (this.#held.length === 0) return null;
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    if (!this.#stream.destroyed) this.#stream.resume();
    return held;
  }

  letGo(): void {
    const stream = this.#stream;
    stream.off('data', this.#take).off('end', this.#rouse).off('close', this.#rouse);
    stream.pause();
    if (this.#turn !== null) clearImmediate(this.#turn);
    // An error that comes later is nobody's any more, and must not end the process.
    if (stream.destroyed) stream.off('error', this.#rouse);
  }

  readonly #take = (chunk: Uint8Array): void => {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    const full = this.#heldBytes >= AHEAD_BYTES;
    if (full) this.#stream.pause();
    if (full || chunk.length < BULK_BYTES) this.#rouse();
    else if (this.#wake !== null) this.#turn ??= setImmediate(this.#rouse);
  };

  readonly #rouse = (): void => {
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
    this.#wake?.();
    this.#wake = null;
  };
}

/** The result, if it comes in time. */
export async function within<T>(result: Promise<T>, ms: number, patience: Patience): Promise<T> {
  const { stop, late, broken } = patience;
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), ms);
  const stopped = (): void => reject(stop?.reason);
  stop?.addEventListener('abort', stopped, { once: true });
  if (stop?.aborted) stopped();
  try {
    return await Promise.race([
      promise,
      result.catch((error: unknown) => {
        throw broken(error);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener('abort', stopped);
  }
}

/** Milliseconds that so many bytes may take. */
export function patienceFor(
  bytes: number,
  patience: Pick<Patience, 'idle_ms' | 'bytes_per_second_min'>,
): number {
  const { idle_ms, bytes_per_second_min } = patience;
  return idle_ms + (bytes_per_second_min === 0 ? 0 : (bytes * 1000) / bytes_per_second_min);
}
