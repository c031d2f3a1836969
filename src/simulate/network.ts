import type { UnixMillis } from '../model/time.ts';
import { shareFairly, TOLERANCE, type SharedLine, type Wanting } from './fair-share.ts';
import { TimedHeap, type Timed } from './timed-heap.ts';
import { Durations, Usage } from './usage.ts';

/** Part of a line that collection gets at least when it yields to foreground traffic. */
const YIELDED_LEAST = 0.02;

/** Bytes per second that are no flow but what is left over of adding and taking away. */
const REST = 0.01;

/** Moments are whole milliseconds; those worked out from rates miss them by this at most. */
export const ROUNDING_MS = 1e-2;

export interface LineSpec {
  readonly name: string;
  /** Index of the line that everything flows over afterwards; null for the last. */
  readonly parent: number | null;
}

/** A transfer under way. `cap` is the least of its access line and what it was granted. */
export interface Flow extends Wanting, Timed {
  readonly line: Line;
  /** Bytes per second that it sends, and the part of them that arrives. */
  rate: number;
  goodput: number;
  /** Bytes to go as of `since`. */
  left: number;
  since: UnixMillis;
}

/** Traffic of people: as many transfers of at most `cap` as are needed for the demand. */
interface Foreground extends Wanting {
  readonly line: Line;
  weight: number;
}

export interface Line extends SharedLine<Flow | Foreground> {
  readonly name: string;
  readonly parent: Line | null;
  readonly children: Line[];
  readonly wanting: Set<Flow | Foreground>;
  capacity: number;
  /** Capacity as it is; `capacity` is what collection may use of it. */
  whole: number;
  readonly foreground: Foreground;
  /** What everything on it takes when nothing above is too narrow; at most `capacity`. */
  demand: number;
  /** The same without the limit of the line itself. */
  below: number;
  /** Flows on it and on the lines below it. */
  count: number;
  /** Too narrow for its flows when rates were last worked out. */
  bound: boolean;
  gross: number;
  readonly usage: Usage;
  readonly slowdown: Durations;
}

export interface NetworkOptions {
  readonly from: UnixMillis;
  readonly until: UnixMillis;
  readonly binMs: number;
  /** Whether collection gives way to foreground traffic (LEDBAT-like). */
  readonly yields: boolean;
}

/**
 * A fluid model of transfers over a tree of lines: every flow goes at its max-min fair rate, below its own cap.
 * Changes count from `settle` on, which has to follow them at the same moment.
 */
export class Network {
  readonly lines: readonly Line[];
  /** Bytes that arrived, and that were sent in vain because lines were overfull. */
  arrived = 0;
  wasted = 0;
  readonly #yields: boolean;
  readonly #finishing = new TimedHeap<Flow>();
  readonly #dirty = new Set<Line>();
  readonly #changed = new Set<Flow>();

  constructor(specs: readonly LineSpec[], options: NetworkOptions) {
    this.#yields = options.yields;
    const lines: Line[] = [];
    for (const spec of specs) {
      const line = newLine(spec.name, spec.parent === null ? null : lines[spec.parent]!, options);
      lines.push(line);
      line.parent?.children.push(line);
    }
    this.lines = lines;
  }

  /** @param cap bytes per second */
  open(line: Line, bytes: number, cap: number, weight: number, now: UnixMillis): Flow {
    const flow: Flow = {
      line,
      cap,
      weight,
      rate: 0,
      goodput: 1,
      left: bytes,
      since: now,
      at: Infinity,
      place: -1,
    };
    line.wanting.add(flow);
    this.#demand(line, cap * weight, 1);
    this.#changed.add(flow);
    return flow;
  }

  /** @returns bytes that are still to go */
  close(flow: Flow, now: UnixMillis): number {
    this.#advance(flow, now);
    this.#setRate(flow, 0, now);
    flow.line.wanting.delete(flow);
    this.#demand(flow.line, -flow.cap * flow.weight, -1);
    this.#finishing.remove(flow);
    this.#changed.delete(flow);
    return flow.left;
  }

  setCap(flow: Flow, cap: number): void {
    if (cap === flow.cap) return;
    this.#demand(flow.line, (cap - flow.cap) * flow.weight, 0);
    flow.cap = cap;
    this.#changed.add(flow);
  }

  /** Bytes to go now. */
  leftOf(flow: Flow, now: UnixMillis): number {
    this.#advance(flow, now);
    return flow.left;
  }

  /** How wide the line is, and how much of it people want. Bytes per second. */
  setLine(line: Line, whole: number, demand: number, flowRate: number): void {
    const { foreground } = line;
    line.whole = whole;
    line.capacity = this.#yields ? Math.max(whole - demand, whole * YIELDED_LEAST) : whole;
    const before = foreground.weight > 0 && !this.#yields ? foreground.cap * foreground.weight : 0;
    foreground.cap = flowRate;
    foreground.weight = flowRate > 0 ? demand / flowRate : 0;
    const inside = foreground.weight > 0 && !this.#yields;
    if (inside) line.wanting.add(foreground);
    else line.wanting.delete(foreground);
    this.#demand(line, (inside ? demand : 0) - before, 0);
  }

  /** Works out all rates that the changes since the last time may have touched. */
  settle(now: UnixMillis): void {
    const roots = new Set<Line>();
    for (const line of this.#dirty) {
      let root: Line | null = null;
      for (let each: Line | null = line; each !== null; each = each.parent) {
        if (each.bound || isTooNarrow(each)) root = each;
      }
      if (root !== null) roots.add(root);
      for (let each: Line | null = root === null ? line : root.parent; each !== null; each = each.parent) {
        this.#noteSlowdown(each, 1, now);
      }
    }
    this.#dirty.clear();
    for (const root of roots) if (!hasAncestorIn(root, roots)) this.#allocate(root, now);
    for (const flow of this.#changed) this.#settleFlow(flow, flow.cap, 1, now);
    this.#changed.clear();
  }

  nextFinish(): Flow | undefined {
    return this.#finishing.top();
  }

  closeBooks(now: UnixMillis): void {
    for (const line of this.lines) {
      line.usage.closeAt(now);
      line.slowdown.closeAt(now);
    }
  }

  #demand(line: Line, change: number, count: number): void {
    this.#dirty.add(line);
    let delta = change;
    for (let each: Line | null = line; each !== null; each = each.parent) {
      each.count += count;
      each.below = each.below + delta;
      const demand = Math.min(each.capacity, each.below);
      delta = demand - each.demand;
      each.demand = demand;
    }
  }

  #allocate(line: Line, now: UnixMillis): void {
    line.bound = isTooNarrow(line);
    if (!line.bound) {
      for (const wanting of line.wanting)
        if ('left' in wanting) this.#settleFlow(wanting, wanting.cap, 1, now);
      this.#noteSlowdown(line, 1, now);
      for (const child of line.children) this.#allocate(child, now);
      return;
    }
    const slowdown = new Map<Line, number>();
    shareFairly(line, (wanting: Flow | Foreground, rate, goodput) => {
      if ('left' in wanting) this.#settleFlow(wanting, rate, goodput, now);
      else slowdown.set(wanting.line, wanting.cap / Math.max(rate * goodput, wanting.cap * 1e-4));
    });
    forAll(line, (each) => {
      each.bound = isTooNarrow(each);
      this.#noteSlowdown(each, slowdown.get(each) ?? 1, now);
    });
  }

  /** Only while collection goes on: how it is at other times says nothing about it. */
  #noteSlowdown(line: Line, slowdown: number, now: UnixMillis): void {
    const { cap, weight } = line.foreground;
    line.slowdown.set(slowdown, line.count > 0 ? cap * weight : 0, now);
  }

  #settleFlow(flow: Flow, rate: number, goodput: number, now: UnixMillis): void {
    this.#changed.delete(flow);
    if (flow.rate === rate && flow.goodput === goodput && flow.place !== -1) return;
    this.#advance(flow, now);
    flow.goodput = goodput;
    this.#setRate(flow, rate, now);
    const speed = flow.rate * flow.goodput * flow.weight;
    flow.at = speed > 0 ? now + (flow.left / speed) * 1000 : Infinity;
    this.#finishing.put(flow);
  }

  #advance(flow: Flow, now: UnixMillis): void {
    const sent = (flow.rate * flow.weight * (now - flow.since)) / 1000;
    const arrived = Math.min(flow.left, sent * flow.goodput);
    flow.left = flow.at <= now + ROUNDING_MS ? 0 : flow.left - arrived;
    flow.since = now;
    this.arrived += arrived;
    this.wasted += sent * (1 - flow.goodput);
  }

  #setRate(flow: Flow, rate: number, now: UnixMillis): void {
    const change = (rate - flow.rate) * flow.weight;
    flow.rate = rate;
    if (change === 0) return;
    for (let line: Line | null = flow.line; line !== null; line = line.parent) {
      const gross = line.gross + change;
      line.gross = gross < REST ? 0 : gross;
      line.usage.setRate(line.gross, now);
    }
  }
}

function newLine(name: string, parent: Line | null, { from, until, binMs }: NetworkOptions): Line {
  const line: Line = {
    name,
    parent,
    children: [],
    wanting: new Set(),
    capacity: 0,
    whole: 0,
    foreground: { line: null as never, cap: 0, weight: 0 },
    demand: 0,
    below: 0,
    count: 0,
    bound: false,
    gross: 0,
    usage: new Usage(from, until, binMs),
    slowdown: new Durations(from),
  };
  return Object.assign(line, { foreground: { line, cap: 0, weight: 0 } });
}

function isTooNarrow(line: Line): boolean {
  return line.below > line.capacity * (1 + TOLERANCE);
}

function hasAncestorIn(line: Line, roots: ReadonlySet<Line>): boolean {
  for (let each = line.parent; each !== null; each = each.parent) if (roots.has(each)) return true;
  return false;
}

function forAll(line: Line, visit: (line: Line) => void): void {
  visit(line);
  for (const child of line.children) forAll(child, visit);
}
