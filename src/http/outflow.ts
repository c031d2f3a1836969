import type { Writable } from 'node:stream';
import { type Patience, patienceFor, within } from './patience.ts';

/** What a stream may have under way that goes as fast as it can, so that it need not wait for the next block. */
export const FAST_AHEAD_BYTES = 2 * 1024 * 1024;
const AHEAD_BYTES = 16 * 1024;

/** Writes to one stream, with patience for a peer that takes its time. */
export class Outflow {
  readonly #stream: Writable;
  readonly #patience: Patience;
  #untaken = 0;
  #change = Promise.withResolvers<void>();

  constructor(stream: Writable, patience: Patience) {
    this.#stream = stream;
    this.#patience = patience;
    stream.once('close', this.#changed);
  }

  /**
   * Resolves when more is welcome.
   * @param ahead bytes that the peer need not have taken by then
   * @param taken called when nobody looks at these pieces any more; never if the stream breaks
   */
  async send(pieces: readonly Uint8Array[], ahead = AHEAD_BYTES, taken?: () => void): Promise<void> {
    const { stop, broken } = this.#patience;
    stop?.throwIfAborted();
    if (this.#stream.destroyed) throw broken(this.#stream.errored);
    for (const [at, piece] of pieces.entries()) {
      this.#untaken += piece.length;
      this.#stream.write(piece, (error) => {
        this.#untaken -= piece.length;
        if (at === pieces.length - 1 && (error ?? null) === null) taken?.();
        this.#changed();
      });
    }
    while (this.#untaken > ahead) {
      await within(this.#next(), patienceFor(this.#untaken, this.#patience), this.#patience);
    }
  }

  async #next(): Promise<void> {
    await this.#change.promise;
    if (this.#stream.destroyed) throw this.#stream.errored;
  }

  readonly #changed = (): void => {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  };
}
