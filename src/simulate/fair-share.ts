/** What wants to flow over a line: a transfer, or all the foreground traffic of the line at once. */
export interface Wanting {
  readonly line: SharedLine;
  /** Bytes per second that one of it takes at most. */
  cap: number;
  /** How many equal ones it stands for. */
  readonly weight: number;
}

/** Told of every one: bytes per second of one of it, and the part of them that arrives (`goodputOf`). */
export type Assign<Item> = (wanting: Item, rate: number, goodput: number) => void;

/** A line in the tree of lines: what flows over it flows over its parent too. */
export interface SharedLine<Item extends Wanting = Wanting> {
  readonly parent: SharedLine<Item> | null;
  readonly children: readonly SharedLine<Item>[];
  readonly wanting: ReadonlySet<Item>;
  /** Bytes per second, for all of it. */
  readonly capacity: number;
}

/** Slack for sums of floating-point rates. */
export const TOLERANCE = 1e-6;
const SEGMENT_BYTES = 1460;
/** Round trip of a line that is full. */
const LOADED_RTT_SECONDS = 0.1;
const LOSS_MAX = 0.25;

/**
 * The part that arrives of what a TCP-like transport sends when its share of a full line is `rate` bytes per second:
 * a share needs a loss rate of (1.22 * segment / (rtt * rate))^2 to be kept that small (Mathis et al. 1997), and what
 * is lost is sent again. Very small shares are taken to lose a quarter.
 */
export function goodputOf(rate: number): number {
  if (rate <= 0) return 1;
  return 1 - Math.min(LOSS_MAX, ((1.22 * SEGMENT_BYTES) / (LOADED_RTT_SECONDS * rate)) ** 2);
}

interface Filling<Item extends Wanting> {
  readonly line: SharedLine<Item>;
  left: number;
  weight: number;
}

/**
 * Max-min fair rates of everything below `root`, which is too narrow for it: all rates rise together, and each stops
 * at its own cap or when a line on its way is full. What lies above `root` must have room.
 */
export function shareFairly<Item extends Wanting>(root: SharedLine<Item>, assign: Assign<Item>): void {
  const lines = new Map<SharedLine, Filling<Item>>();
  const open: Item[] = [];
  gather(root, lines, open);
  open.sort((a, b) => a.cap - b.cap);
  const done = new Set<Item>();
  const settle = (wanting: Item, rate: number, goodput: number): void => {
    assign(wanting, rate, goodput);
    done.add(wanting);
    for (
      let line: SharedLine | null = wanting.line;
      line !== null;
      line = line === root ? null : line.parent
    ) {
      const filling = lines.get(line)!;
      filling.left -= rate * wanting.weight;
      filling.weight -= wanting.weight;
    }
  };
  let next = 0;
  while (done.size < open.length) {
    const narrowest = narrowestOf(lines);
    const level = Math.max(0, narrowest.left / narrowest.weight);
    let moved = false;
    for (; next < open.length && (done.has(open[next]!) || open[next]!.cap <= level); next++) {
      if (done.has(open[next]!)) continue;
      settle(open[next]!, open[next]!.cap, 1);
      moved = true;
    }
    if (moved) continue;
    const goodput = goodputOf(level);
    for (const wanting of allBelow(narrowest.line)) {
      if (!done.has(wanting)) settle(wanting, level, goodput);
    }
  }
}

/** @returns the weight of everything below */
function gather<Item extends Wanting>(
  line: SharedLine<Item>,
  lines: Map<SharedLine, Filling<Item>>,
  open: Item[],
): number {
  const filling: Filling<Item> = { line, left: line.capacity, weight: 0 };
  lines.set(line, filling);
  for (const wanting of line.wanting) {
    open.push(wanting);
    filling.weight += wanting.weight;
  }
  for (const child of line.children) filling.weight += gather(child, lines, open);
  return filling.weight;
}

function narrowestOf<Item extends Wanting>(lines: ReadonlyMap<SharedLine, Filling<Item>>): Filling<Item> {
  let best: Filling<Item> | undefined;
  for (const filling of lines.values()) {
    if (filling.weight < TOLERANCE) continue;
    if (best === undefined || filling.left * best.weight < best.left * filling.weight) best = filling;
  }
  return best!;
}

function* allBelow<Item extends Wanting>(line: SharedLine<Item>): Generator<Item> {
  yield* line.wanting;
  for (const child of line.children) yield* allBelow(child);
}
