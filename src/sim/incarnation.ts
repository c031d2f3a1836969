import { CrashedInOperation, type OperationRequest } from './operations.ts';
import type { RandomStream } from './random.ts';
import type { Simulation } from './simulation.ts';

/** A promise of a dead incarnation: pending for ever. */
export function forever(): Promise<never> {
  return new Promise(() => {});
}

/**
 * One life of a node's process. All ports of its World ask it before they act and before they answer: once it has
 * ended, calls that were under way stay pending for ever and new ones never answer.
 */
export class Incarnation {
  readonly simulation: Simulation;
  /** The node's name. */
  readonly node: string;
  /** Counted from 1 over the node's life. */
  readonly number: number;
  readonly #schedule: RandomStream;
  readonly #crashNode: () => void;
  readonly #endings = new Set<() => void>();
  readonly #bootedAt: number;
  #alive = true;
  #slept = 0;
  #asleep: { readonly since: number; readonly over: Promise<void>; readonly wake: () => void } | null = null;

  constructor(simulation: Simulation, node: string, number: number, crashNode: () => void) {
    this.simulation = simulation;
    this.node = node;
    this.number = number;
    this.#schedule = simulation.scheduleStream(node, number);
    this.#crashNode = crashNode;
    this.#bootedAt = simulation.exactNow;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get suspended(): boolean {
    return this.#asleep !== null;
  }

  /** Virtual milliseconds since the boot, without those that the machine was suspended. */
  awake(): number {
    return (this.#asleep?.since ?? this.simulation.exactNow) - this.#bootedAt - this.#slept;
  }

  /** Resolves when the machine is awake; at once if it is. */
  async whenAwake(): Promise<void> {
    while (this.#asleep !== null) await this.#asleep.over;
  }

  /** Does `effect` some microtasks later, at least one, drawn from the schedule's seed, if the incarnation still lives then. */
  async answer<T>(effect: () => T): Promise<T> {
    this.simulation.countCall();
    for (let turns = this.#schedule.below(this.simulation.interleave + 1); turns >= 0; turns--) {
      await Promise.resolve();
    }
    if (this.#asleep !== null) await this.whenAwake();
    if (!this.#alive || this.simulation.failed) return await forever();
    let result: T;
    try {
      result = effect();
    } catch (error) {
      if (error instanceof CrashedInOperation || !this.#alive) return await forever();
      throw error;
    }
    return this.#alive ? result : await forever();
  }

  /** Inside an effect: one numbered operation (see operations.ts). */
  operate<T>(request: Omit<OperationRequest, 'node'>, effect: () => T): T {
    if (!this.#alive) throw new CrashedInOperation();
    return this.simulation.operation({ node: this.node, ...request }, this.#crashNode, effect);
  }

  /** Both in one: a port call that is one operation. */
  async operation<T>(request: Omit<OperationRequest, 'node'>, effect: () => T): Promise<T> {
    return await this.answer(() => this.operate(request, effect));
  }

  /** @returns a function that takes the callback back */
  onEnd(callback: () => void): () => void {
    this.#endings.add(callback);
    return () => void this.#endings.delete(callback);
  }

  end(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const callback of this.#endings) callback();
    this.#endings.clear();
  }

  /** The lid is closed: no port answers and no timer of this process advances until `resume`. */
  suspend(): void {
    if (this.#asleep !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#asleep = { since: this.simulation.exactNow, over: promise, wake: resolve };
  }

  resume(): void {
    if (this.#asleep === null) return;
    this.#slept += this.simulation.exactNow - this.#asleep.since;
    this.#asleep.wake();
    this.#asleep = null;
  }
}
