import type { World } from '../world/ports.ts';
import { defined } from '../model/errors.ts';
import { Call, type MessageFace, type Tamper } from './call.ts';
import { callMethod, streamMethod } from './calling.ts';
import type { Incarnation } from './incarnation.ts';
import { Line, type LineOptions } from './line.ts';
import type { SimulatedNode } from './node.ts';
import { requestOf, type Endpoint, type Method, type Methods } from './requests.ts';
import type { Simulation } from './simulation.ts';

/** How each method of an interface answers: with a promise or with a stream. */
export type MethodKinds<Api> = {
  readonly [Name in keyof Api]: Api[Name] extends (...values: never[]) => Promise<unknown>
    ? 'call'
    : Api[Name] extends (...values: never[]) => AsyncIterable<unknown>
      ? 'stream'
      : never;
};

export interface NetworkOptions extends Partial<LineOptions> {
  /** Items that a stream's sender may be ahead of its reader; 4 unless told. */
  readonly window?: number;
}

const DEFAULTS: LineOptions = {
  latencyMs: 10,
  jitterMs: 5,
  bytesPerSecond: 10_000_000,
  timeoutMs: 60_000,
};

/**
 * Carries interfaces between machines: each call is a request there and an answer (or a stream of items) back, in
 * virtual time. A call is a connection of its own, as in HTTP; when it breaks its caller gets LowtideError
 * `center-unreachable`, whatever became of the call at the other end.
 */
export class Network {
  readonly #simulation: Simulation;
  readonly #options: LineOptions;
  readonly #window: number;
  readonly #lines = new Map<string, Line>();
  readonly #calls = new Set<Call>();
  readonly #tampers = new Set<Tamper>();

  constructor(simulation: Simulation, { window = 4, ...options }: NetworkOptions = {}) {
    this.#simulation = simulation;
    this.#options = { ...DEFAULTS, ...options };
    this.#window = window;
  }

  /**
   * The interface of another machine, as this World sees it.
   * @param implementation is asked for at each call what runs there now; null if nothing does
   * @param methods which of them answer with a promise, and which with a stream
   */
  connect<Api extends object>(
    world: World,
    to: SimulatedNode,
    implementation: () => Api | null,
    methods: MethodKinds<Api>,
  ): Api {
    const caller = defined(this.#simulation.incarnations.get(world), 'the incarnation of a simulated World');
    const endpoint: Endpoint = {
      caller,
      window: this.#window,
      dial: (method) => this.#dial(caller, to.name, method),
      service: () => {
        const { incarnation } = to;
        const api = incarnation === null ? null : implementation();
        return incarnation === null || api === null ? null : { incarnation, api: api as Api & Methods };
      },
    };
    const api: Record<string, Method> = {};
    for (const [name, kind] of Object.entries(methods)) {
      if (kind === 'call')
        api[name] = async (...values) => await callMethod(endpoint, requestOf(name, values));
      else api[name] = (...values) => streamMethod(endpoint, requestOf(name, values));
    }
    return api as Api;
  }

  /** Other than default latency, bandwidth ... in both directions. */
  setLine(one: string, other: string, options: Partial<LineOptions>): void {
    for (const line of [this.#line(one, other), this.#line(other, one)]) {
      line.options = { ...line.options, ...options };
    }
  }

  /** Nothing goes from one to the other until `heal`: what is sent waits, and after the line's timeout its calls break. */
  cut(from: string, to: string): void {
    this.#line(from, to).setCut(true);
  }

  heal(from: string, to: string): void {
    this.#line(from, to).setCut(false);
  }

  /** Both directions. */
  part(one: string, other: string): void {
    this.cut(one, other);
    this.cut(other, one);
  }

  /** Both directions. */
  join(one: string, other: string): void {
    this.heal(one, other);
    this.heal(other, one);
  }

  /** Breaks the connections that two machines have now, in both directions. */
  reset(one: string, other: string): void {
    this.#breakCalls([this.#line(one, other), this.#line(other, one)], 'the connection was reset');
  }

  /** Shows every message to `tamper`, which may lose it or (a request) have it arrive again; to count them too. */
  tamper(tamper: Tamper): () => void {
    this.#tampers.add(tamper);
    return () => void this.#tampers.delete(tamper);
  }

  #dial(caller: Incarnation, to: string, method: string): Call {
    const there = this.#line(caller.node, to);
    const back = this.#line(to, caller.node);
    const tamper = (message: MessageFace): ReturnType<Tamper> => {
      let wanted: ReturnType<Tamper>;
      for (const one of this.#tampers) wanted = one(message) ?? wanted;
      return wanted;
    };
    const onOver = (over: Call): void => void this.#calls.delete(over);
    const call = new Call({ method, caller, there, back, tamper, onOver });
    this.#calls.add(call);
    for (const line of [there, back]) {
      const since = line.deadSince;
      if (since === null) continue;
      this.#simulation.after(line.options.timeoutMs, () => {
        if (line.deadSince === since) call.break('the line is dead');
      });
    }
    return call;
  }

  #line(from: string, to: string): Line {
    const key = `${from} ${to}`;
    const known = this.#lines.get(key);
    if (known !== undefined) return known;
    const ends = [this.#simulation.node(from), this.#simulation.node(to)] as const;
    const line = new Line(...ends, this.#options, (dead) => this.#breakCalls([dead], 'the line is dead'));
    this.#lines.set(key, line);
    return line;
  }

  #breakCalls(lines: readonly Line[], why: string): void {
    for (const call of this.#calls) {
      if (lines.includes(call.lines.there) || lines.includes(call.lines.back)) call.break(why);
    }
  }
}
