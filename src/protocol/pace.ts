import type { SealedBlock } from '../format/block.ts';
import { SECOND_MS } from '../model/time.ts';

/** What pacing needs of a clock. */
export interface PaceClock {
  /** Milliseconds that only go forward. */
  monotonic(): number;
  sleep(ms: number, stop?: AbortSignal): Promise<void>;
}

/** What may go at once after a pause, as time at the granted rate; and where others on the line must not feel it. */
const BURST_MS = 100;
const GENTLE_BURST_MS = 20;
/** Of a grant: a burst and a piece find room in what is left of ten seconds. */
const KEPT_SHARE = 0.985;
/** Pieces a second. */
const PIECES = 20;
const GENTLE_PIECES = 100;
/** A new rate counts at the latest after this. */
const LOOK_MS = 200;
const PIECE_BYTES_MIN = 4 * 1024;
const PIECE_BYTES_MAX = 256 * 1024;

/**
 * Keeps the rate that an order was granted (docs/scheduling.md S72): a token bucket that is asked before bytes go out. The
 * rate may change at any time.
 */
export class Pace {
  readonly #clock: PaceClock;
  #granted: number | null;
  #ceiling: number | null = null;
  /** The less of the two. */
  #bytesPerSecond: number | null;
  #allowance = 0;
  #filledAt: number;
  #inPieces = false;
  #taken = 0;

  /** @param bytesPerSecond null: as fast as it goes */
  constructor(clock: PaceClock, bytesPerSecond: number | null) {
    this.#clock = clock;
    this.#granted = bytesPerSecond;
    this.#bytesPerSecond = null;
    this.#filledAt = clock.monotonic();
    this.#settle();
  }

  get bytesPerSecond(): number | null {
    return this.#bytesPerSecond;
  }

  /** Bytes that have gone out, or may now. */
  get taken(): number {
    return this.#taken;
  }

  /** What was granted. */
  setRate(bytesPerSecond: number | null): void {
    this.#granted = bytesPerSecond;
    this.#settle();
  }

  /** What the sender allows itself, if that is less. */
  setCeiling(bytesPerSecond: number | null): void {
    this.#ceiling = bytesPerSecond;
    this.#settle();
  }

  #settle(): void {
    this.#fill();
    const both = Math.min(KEPT_SHARE * (this.#granted ?? Infinity), this.#ceiling ?? Infinity);
    this.#bytesPerSecond = both === Infinity ? null : both;
    this.#allowance = Math.min(this.#allowance, this.#burst());
  }

  /** A transport that cuts blocks into pieces asks for each piece; then whole blocks need not be asked for. */
  inPieces(): void {
    this.#inPieces = true;
  }

  /** How much a transport should write at once: a small part of a second, so that a slow grant is kept evenly. */
  get pieceBytes(): number {
    if (this.#bytesPerSecond === null) return PIECE_BYTES_MAX;
    const pieces = this.#ceiling === null ? PIECES : GENTLE_PIECES;
    return Math.min(PIECE_BYTES_MAX, Math.max(PIECE_BYTES_MIN, Math.floor(this.#bytesPerSecond / pieces)));
  }

  /** Resolves when a block may go, or `stop` aborts. */
  async block(bytes: number, stop: AbortSignal): Promise<void> {
    if (!this.#inPieces) await this.take(bytes, stop);
  }

  /** Resolves when so many bytes may go, or `stop` aborts. What is more than the bucket holds is paid for afterwards. */
  async take(bytes: number, stop: AbortSignal): Promise<void> {
    for (;;) {
      const rate = this.#bytesPerSecond;
      if (stop.aborted) return;
      if (rate === null) {
        this.#taken += bytes;
        return;
      }
      this.#fill();
      if (this.#allowance > 0) {
        this.#allowance -= bytes;
        this.#taken += bytes;
        return;
      }
      const wait = rate > 0 ? ((1 - this.#allowance) / rate) * SECOND_MS : LOOK_MS;
      await this.#clock.sleep(Math.min(Math.max(1, wait), LOOK_MS), stop);
    }
  }

  #burst(): number {
    const burst = this.#ceiling === null ? BURST_MS : GENTLE_BURST_MS;
    return Math.max(1, ((this.#bytesPerSecond ?? 0) * burst) / SECOND_MS);
  }

  #fill(): void {
    const now = this.#clock.monotonic();
    const earned = ((now - this.#filledAt) * (this.#bytesPerSecond ?? 0)) / SECOND_MS;
    this.#allowance = Math.min(this.#allowance + earned, this.#burst());
    this.#filledAt = now;
  }
}

/** Blocks that go out at a pace. Whole ones wait for it by themselves, unless the transport asks for its pieces. */
export class PacedBlocks implements AsyncIterable<SealedBlock> {
  readonly pace: Pace;
  readonly #blocks: AsyncIterable<SealedBlock>;
  readonly #stop: AbortSignal;

  constructor(blocks: AsyncIterable<SealedBlock>, pace: Pace, stop: AbortSignal) {
    this.#blocks = blocks;
    this.pace = pace;
    this.#stop = stop;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SealedBlock> {
    for await (const block of this.#blocks) {
      await this.pace.block(block.bytes.length, this.#stop);
      if (this.#stop.aborted) return;
      yield block;
    }
  }
}
