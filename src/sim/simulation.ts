import { tinyLimits, type Limits } from '../model/limits.ts';
import type { UnixMillis } from '../model/time.ts';
import { defined, messageOf } from '../model/errors.ts';
import type { World } from '../world/ports.ts';
import type { Incarnation } from './incarnation.ts';
import { Recorder } from './monitor.ts';
import type { SimulatedNode } from './node.ts';
import { Operations, type Observer, type OperationRequest } from './operations.ts';
import { RandomStream } from './random.ts';
import { TimerQueue, type Timer } from './timers.ts';

export interface SimulationOptions {
  readonly seed: string | number;
  /** Draws the interleavings; apart from `seed`, so that one workload can be run under many schedules. */
  readonly scheduleSeed?: string | number;
  readonly limits?: Limits;
  /** Virtual time at the start; 2026-01-05T12:00:00Z, a Monday, unless told. */
  readonly start?: UnixMillis;
  /** The most microtask turns that a port waits before it answers: 0 gives the same order under every seed. */
  readonly interleave?: number;
  /** Port calls at one instant after which the run fails as an endless loop. */
  readonly callsPerInstant?: number;
}

/** What went wrong in a run, with all that is needed to run it again. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';
}

/**
 * Virtual time and everything that is drawn from the seed. Ports answer by microtask only, so after one macrotask
 * turn all that can happen at this instant has happened; then the next timer fires. No real time, no real disk.
 */
export class Simulation {
  readonly seed: string | number;
  readonly scheduleSeed: string | number;
  readonly limits: Limits;
  readonly start: UnixMillis;
  readonly interleave: number;
  readonly operations: Operations;
  /** Events and problems of all nodes. */
  readonly recorder = new Recorder();
  /** Whose each World is: what the network needs to know. */
  readonly incarnations = new WeakMap<World, Incarnation>();
  readonly #nodes = new Map<string, SimulatedNode>();
  readonly #callsPerInstant: number;
  readonly #timers = new TimerQueue();
  #now: number;
  #calls = 0;
  #failure: { readonly error: unknown } | null = null;
  #driving = false;

  constructor(options: SimulationOptions) {
    this.seed = options.seed;
    this.scheduleSeed = options.scheduleSeed ?? options.seed;
    this.limits = options.limits ?? tinyLimits;
    this.start = options.start ?? Date.UTC(2026, 0, 5, 12);
    this.interleave = options.interleave ?? 3;
    this.#callsPerInstant = options.callsPerInstant ?? 2_000_000;
    this.#now = this.start;
    this.operations = new Operations(() => this.#now);
  }

  /** Virtual time in whole milliseconds. */
  get now(): UnixMillis {
    return Math.floor(this.#now);
  }

  /** Virtual time with fractions of a millisecond. */
  get exactNow(): number {
    return this.#now;
  }

  addNode(node: SimulatedNode): void {
    if (this.#nodes.has(node.name)) throw new TypeError(`there are two nodes called ${node.name}`);
    this.#nodes.set(node.name, node);
  }

  node(name: string): SimulatedNode {
    return defined(this.#nodes.get(name), `node ${name}`);
  }

  /** A stream for one purpose, drawn from the workload's seed. */
  stream(purpose: string, ...names: readonly (string | number)[]): RandomStream {
    return new RandomStream(this.seed, purpose, ...names);
  }

  scheduleStream(...names: readonly (string | number)[]): RandomStream {
    return new RandomStream(this.scheduleSeed, 'schedule', ...names);
  }

  /** Calls `fire` after `ms` of virtual time. */
  after(ms: number, fire: () => void): Timer {
    return this.#timers.add(this.#now + Math.max(0, ms), fire);
  }

  /** Calls `fire` at an instant; at once (but not inside this call) if that is over. */
  at(time: UnixMillis, fire: () => void): Timer {
    return this.#timers.add(Math.max(this.#now, time), fire);
  }

  observe(observer: Observer): () => void {
    return this.operations.observe(observer);
  }

  /** One numbered operation of a node (see operations.ts): how ports and network announce what they do. */
  operation<T>(request: OperationRequest, crash: () => void, effect: () => T): T {
    return this.operations.perform(request, crash, effect);
  }

  /** Ends the run with this error: for what no node code could have caught. The first one counts. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  get failed(): boolean {
    return this.#failure !== null;
  }

  /** Called by every port for every call, so that an endless loop without virtual time is found out. */
  countCall(): void {
    this.#calls++;
    if (this.#calls > this.#callsPerInstant) {
      this.fail(new Error(`${this.#callsPerInstant} port calls at one instant: an endless loop`));
    }
  }

  /** Lets everything happen that can at this instant. */
  async settle(): Promise<void> {
    await this.#drive(() => true, Infinity);
  }

  /** Runs all that is due until then; virtual time is `until` afterwards. */
  async run(options: { readonly until: UnixMillis } | { readonly for: number }): Promise<void> {
    const until = 'until' in options ? options.until : this.#now + options.for;
    await this.#drive(() => false, until);
  }

  /**
   * Runs until `condition` is true: looked at whenever everything at one instant has happened.
   * @throws SimulationError if it is still false at `deadline` or nothing is left to happen
   */
  async runUntil(condition: () => boolean, deadline: UnixMillis): Promise<void> {
    if (!(await this.#drive(condition, deadline))) {
      throw this.#describe(new Error('the condition was not reached before the deadline'));
    }
  }

  /** Runs until the promise has settled, and gives what it gave. */
  async finish<T>(promise: Promise<T>, deadline: UnixMillis = Infinity): Promise<T> {
    let settled = false;
    const mark = (): void => void (settled = true);
    promise.then(mark, mark);
    if (!(await this.#drive(() => settled, deadline))) {
      throw this.#describe(new Error('the promise had not settled when nothing was left to happen'));
    }
    return await promise;
  }

  async #drive(stop: () => boolean, deadline: number): Promise<boolean> {
    if (this.#driving) throw new TypeError('the simulation is being run already');
    this.#driving = true;
    const unwatch = watchRejections((error) => this.fail(error));
    try {
      for (;;) {
        await macrotaskTurn();
        if (this.#failure !== null) throw this.#describe(this.#failure.error);
        if (stop()) return true;
        if (!this.#fireNext(deadline)) return false;
      }
    } finally {
      unwatch();
      this.#driving = false;
    }
  }

  #fireNext(deadline: number): boolean {
    const next = this.#timers.peek();
    if (next === undefined || next.due > deadline) {
      if (Number.isFinite(deadline)) this.#now = Math.max(this.#now, deadline);
      return false;
    }
    this.#timers.pop();
    if (next.due > this.#now) {
      this.#now = next.due;
      this.#calls = 0;
    }
    try {
      next.fire();
    } catch (error) {
      this.fail(error);
    }
    return true;
  }

  #describe(error: unknown): SimulationError {
    const when = Number.isFinite(this.#now) ? new Date(this.now).toISOString() : 'the end of time';
    const where = `seed ${this.seed}, schedule seed ${this.scheduleSeed}, ${when}`;
    const detail = `operation ${this.operations.count}`;
    return new SimulationError(`${messageOf(error)} (${where}, ${detail})`, { cause: error });
  }
}

/** One turn of the real event loop: by then every microtask, and every microtask of those, has run. */
function macrotaskTurn(): Promise<void> {
  return new Promise((resolve) => {
    // oxlint-disable-next-line no-restricted-globals -- the one place where the simulation touches the event loop: it waits for no time and for no input, only for the microtask queue to be empty
    setImmediate(resolve);
  });
}

/**
 * While a simulation runs, an unhandled rejection or exception of node code is the run's failure, with its seed,
 * instead of the test runner's. Listeners of others come back afterwards.
 */
function watchRejections(report: (error: unknown) => void): () => void {
  // oxlint-disable-next-line no-restricted-globals -- Node reports unhandled rejections on `process` only
  const host = process;
  const names = ['unhandledRejection', 'uncaughtException'];
  const saved = names.map((name) => ({ name, listeners: host.rawListeners(name as 'exit') as Listener[] }));
  for (const name of names) {
    host.removeAllListeners(name);
    host.on(name, report);
  }
  return () => {
    for (const { name, listeners } of saved) {
      host.removeListener(name, report);
      for (const listener of listeners) host.on(name, listener);
    }
  };
}

type Listener = (...values: unknown[]) => void;
