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
 * The chunks of a stream, as slowly as the caller takes them: only time spent waiting for the peer counts. Bytes buy
 * time back at the least allowed rate, so that one byte a second does not keep a stream alive. Whoever ends it early
 * finds the stream paused: `resume` drops the rest.
 */
export async function* patiently(stream: Readable, patience: Patience): AsyncGenerator<Uint8Array> {
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
      const chunk = await within(chunks.next(), idle_ms - waited, patience);
      if (chunk === null) return;
      waited = Math.max(0, waited + performance.now() - from - timeFor(chunk, patience));
      yield chunk;
    }
  } finally {
    chunks.letGo();
  }
}

/** Milliseconds that a chunk buys. */
function timeFor({ length }: Uint8Array, { idle_ms, bytes_per_second_min }: Patience): number {
  return bytes_per_second_min === 0 ? idle_ms : (length * 1000) / bytes_per_second_min;
}

/** What may come while the caller is at work, so that a record of 16 KiB need not be waited for each time. */
const AHEAD_BYTES = 256 * 1024;

/** A stream's own async iterator would keep its hands on the stream while it waits. */
class Chunks {
  readonly #stream: Readable;
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;
  #wake: () => void = () => {};

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on('data', this.#take).on('end', this.#rouse).on('error', this.#rouse).on('close', this.#rouse);
    stream.pause();
  }

  /** Null at the end; throws what broke the stream, undefined if it just closed. */
  async next(): Promise<Uint8Array | null> {
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
  take(): Uint8Array | null {
    const chunk = this.#held.shift();
    if (chunk === undefined) return null;
    this.#heldBytes -= chunk.length;
    if (this.#held.length === 0 && !this.#stream.destroyed) this.#stream.resume();
    return chunk;
  }

  letGo(): void {
    const stream = this.#stream;
    stream.off('data', this.#take).off('end', this.#rouse).off('close', this.#rouse);
    stream.pause();
    // An error that comes later is nobody's any more, and must not end the process.
    if (stream.destroyed) stream.off('error', this.#rouse);
  }

  readonly #take = (chunk: Uint8Array): void => {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes >= AHEAD_BYTES) this.#stream.pause();
    this.#wake();
  };

  readonly #rouse = (): void => this.#wake();
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
