import { SECOND_MS } from '../model/time.ts';

/** What a source has cost, as it is remembered from one restore to the next. */
export interface KnownCost {
  /** From asking to the first block. */
  readonly latencyMs: number;
  /** Of what comes after. */
  readonly bytesPerSecond: number;
}

/** Of a source that nobody has asked yet: good enough to be tried before one that is known to be worse. */
const UNKNOWN: KnownCost = { latencyMs: 100, bytesPerSecond: 1_000_000 };
/** How much what was known before weighs against what is measured. */
const MEMORY_BYTES = 256 * 1024;
/** What lies further back than this counts half. */
const WINDOW_BYTES = 8 * 1024 * 1024;

/** Measures one source: times are those that its reader spent waiting. */
export class SourceCost {
  #latencyMs: number;
  #bytes: number;
  #ms: number;
  #measured: boolean;

  constructor(known: KnownCost | null = null) {
    const { latencyMs, bytesPerSecond } = known ?? UNKNOWN;
    this.#latencyMs = latencyMs;
    this.#bytes = known === null ? 0 : MEMORY_BYTES;
    this.#ms = (this.#bytes / bytesPerSecond) * SECOND_MS;
    this.#measured = known !== null;
  }

  /** The first block of an answer came, or its end without one, or somebody got tired of waiting for it. */
  answered(ms: number): void {
    this.#latencyMs = this.#measured ? (this.#latencyMs + ms) / 2 : ms;
    this.#measured = true;
  }

  /** A further block came; none if somebody got tired of waiting for it. */
  came(bytes: number, ms: number): void {
    this.#bytes += bytes;
    this.#ms += ms;
    if (this.#bytes < WINDOW_BYTES) return;
    this.#bytes /= 2;
    this.#ms /= 2;
  }

  /** Milliseconds that so many bytes would take. */
  estimate(bytes: number): number {
    return this.#latencyMs + (bytes / this.#rate) * SECOND_MS;
  }

  /** Null if nothing was asked of it yet. */
  get known(): KnownCost | null {
    if (!this.#measured) return null;
    return { latencyMs: Math.round(this.#latencyMs), bytesPerSecond: Math.max(1, Math.round(this.#rate)) };
  }

  /** More than a first block, now or before. */
  get hasGiven(): boolean {
    return this.#bytes > 0;
  }

  /** In bytes a second, and never 0. */
  get #rate(): number {
    if (this.#bytes === 0 && this.#ms === 0) return UNKNOWN.bytesPerSecond;
    return ((this.#bytes + 1) / Math.max(this.#ms, 0.001)) * SECOND_MS;
  }
}
