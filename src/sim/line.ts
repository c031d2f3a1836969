import type { SimulatedNode } from './node.ts';
import type { RandomStream } from './random.ts';
import type { Simulation } from './simulation.ts';

/** How a line between two machines behaves, each way for itself. */
export interface LineOptions {
  readonly latencyMs: number;
  /** Up to this much more, drawn for each message. */
  readonly jitterMs: number;
  readonly bytesPerSecond: number;
  /** How long a line may be dead before whoever waits on it gives up. */
  readonly timeoutMs: number;
}

/** Keeps the messages of one call and direction in order, whatever the jitter. */
export interface Sequence {
  lastArrival: number;
}

/** One direction of a line. Messages on a dead line wait, as TCP's do, and go on when it lives again. */
export class Line {
  readonly from: SimulatedNode;
  readonly to: SimulatedNode;
  options: LineOptions;
  readonly #simulation: Simulation;
  readonly #random: RandomStream;
  readonly #onTimeout: (line: Line) => void;
  #held: (() => void)[] = [];
  #busyUntil = 0;
  #cut = false;
  #deadSince: number | null = null;

  constructor(from: SimulatedNode, to: SimulatedNode, options: LineOptions, onTimeout: (line: Line) => void) {
    this.from = from;
    this.to = to;
    this.options = options;
    this.#simulation = from.simulation;
    this.#random = this.#simulation.scheduleStream('line', from.name, to.name);
    this.#onTimeout = onTimeout;
    for (const node of [from, to]) node.onSuspension(() => this.#look());
    this.#look();
  }

  /** When it died; null while it lives. */
  get deadSince(): number | null {
    return this.#deadSince;
  }

  setCut(cut: boolean): void {
    this.#cut = cut;
    this.#look();
  }

  /** One message after another: each takes its bytes' time on the line and then travels. */
  carry(bytes: number, sequence: Sequence, deliver: () => void): void {
    if (this.#deadSince !== null) {
      this.#held.push(() => this.carry(bytes, sequence, deliver));
      return;
    }
    const { latencyMs, jitterMs, bytesPerSecond } = this.options;
    const now = this.#simulation.exactNow;
    this.#busyUntil = Math.max(now, this.#busyUntil) + (bytes / bytesPerSecond) * 1000;
    const arrival = this.#busyUntil + latencyMs + this.#random.fraction() * jitterMs;
    sequence.lastArrival = Math.max(sequence.lastArrival, arrival);
    this.#simulation.after(sequence.lastArrival - now, () => {
      if (this.#deadSince === null) deliver();
      else this.#held.push(deliver);
    });
  }

  #look(): void {
    const dead = this.#cut || this.from.suspended || this.to.suspended;
    if (dead === (this.#deadSince !== null)) return;
    if (dead) {
      const since = this.#simulation.exactNow;
      this.#deadSince = since;
      this.#simulation.after(this.options.timeoutMs, () => {
        if (this.#deadSince === since) this.#onTimeout(this);
      });
    } else {
      this.#deadSince = null;
      const held = this.#held;
      this.#held = [];
      for (const carry of held) carry();
    }
  }
}
