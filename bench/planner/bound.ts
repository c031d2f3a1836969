import type { UnixMillis } from '../../src/model/time.ts';
import { clip, intersect, type Span, unite } from '../../src/schedule/spans.ts';
import { intervalsBetween } from '../../src/schedule/windows.ts';
import type { Fleet, FleetClient, FleetSnapshot } from '../../src/simulate/fleet.ts';
import { timelineOf } from '../../src/simulate/line-times.ts';
import { valueAt } from '../../src/simulate/steps.ts';
import { type LinearProgram, solve, type Solver } from './highs.ts';

/** What no order of transfers can beat: transfers of any fineness, no overhead, everything known beforehand. */
export interface Bound {
  /** The least time from the opening until everything is collected; null if it cannot be. */
  readonly allCollectedAt: UnixMillis | null;
  /** Whether every deadline can be kept. */
  readonly deadlinesFeasible: boolean;
  /** Bytes that can be collected by the end at most, as a part of all. */
  readonly bytesShare: number;
}

interface Piece {
  readonly client: FleetClient;
  readonly snapshot: FleetSnapshot;
  readonly spans: readonly Span[];
}

/** With more breakpoints than this they are rounded, in favour of the bound. */
const BREAKPOINTS_MOST = 160;

export function boundOf(fleet: Fleet, solver: Solver): Bound {
  const open = intervalsBetween(fleet.conditions.windows, fleet.from, fleet.until);
  const pieces = fleet.clients.flatMap((client) =>
    client.snapshots.map((snapshot): Piece => {
      const windows = intersect(open, intervalsBetween(client.windows, fleet.from, fleet.until));
      const online = client.online === null ? windows : intersect(windows, client.online);
      return { client, snapshot, spans: clip(online, snapshot.readyAt, fleet.until) };
    }),
  );
  const parts = componentsOf(fleet, pieces).map((part) => new Part(fleet, part, solver));
  const ends = parts.map((part) => part.earliestEnd());
  const total = pieces.reduce((sum, { snapshot }) => sum + snapshot.bytes, 0);
  const most = parts.reduce((sum, part) => sum + part.most(fleet.until, false), 0);
  const onTime = parts.every((part) => part.most(fleet.until, true) >= part.bytes * (1 - 1e-6));
  return {
    allCollectedAt: ends.every((end) => end !== null)
      ? ends.reduce((a, b) => Math.max(a, b), fleet.from)
      : null,
    deadlinesFeasible: onTime,
    bytesShare: most / total,
  };
}

/** Lines that can never be held up by the center's own are worked out one by one. */
function componentsOf(fleet: Fleet, pieces: readonly Piece[]): (readonly Piece[])[] {
  const [center, ...others] = fleet.lines;
  const least = Math.min(
    ...center!.capacity.map(({ value }) => value),
    ...center!.cap.map(({ value }) => value),
  );
  const most = others.reduce(
    (sum, line) =>
      sum + Math.min(...[line.capacity, line.cap].map((s) => Math.max(...s.map(({ value }) => value)))),
    0,
  );
  const free =
    most <= least &&
    fleet.restores.every(({ line }) => line !== 0) &&
    pieces.every(({ client }) => client.line > 0);
  return free ? [...Map.groupBy(pieces, ({ client }) => client.line).values()] : [pieces];
}

class Part {
  readonly bytes: number;
  readonly #fleet: Fleet;
  readonly #pieces: readonly Piece[];
  readonly #solver: Solver;
  readonly #edges: readonly UnixMillis[];
  readonly #lines: readonly number[];

  constructor(fleet: Fleet, pieces: readonly Piece[], solver: Solver) {
    this.#fleet = fleet;
    this.#solver = solver;
    this.bytes = pieces.reduce((sum, { snapshot }) => sum + snapshot.bytes, 0);
    this.#lines = [...new Set([0, ...pieces.map(({ client }) => client.line)])];
    const times = timelineOf(fleet);
    const fixed = [
      fleet.from,
      fleet.until,
      ...this.#lines.flatMap((line) => [
        ...times[line]!.map(({ at }) => at),
        ...fleet.lines[line]!.cap.map(({ at }) => at),
      ]),
    ];
    const own = pieces.flatMap(({ spans, snapshot }) => [
      ...spans.flatMap(({ start, end }) => [start, end]),
      ...(snapshot.deadline === null ? [] : [snapshot.deadline]),
    ]);
    const exact = new Set([...fixed, ...own]);
    const grid = exact.size > BREAKPOINTS_MOST ? (fleet.until - fleet.from) / BREAKPOINTS_MOST : 1;
    const low = (at: number): number => fleet.from + Math.floor((at - fleet.from) / grid) * grid;
    const high = (at: number): number => fleet.from + Math.ceil((at - fleet.from) / grid) * grid;
    this.#pieces = pieces.map((piece) => ({
      ...piece,
      spans: unite(
        piece.spans.map(({ start, end }) => ({ start: low(start), end: Math.min(high(end), fleet.until) })),
      ),
    }));
    const edges = this.#pieces.flatMap(({ spans, snapshot }) => [
      ...spans.flatMap(({ start, end }) => [start, end]),
      ...(snapshot.deadline === null ? [] : [high(snapshot.deadline)]),
    ]);
    this.#edges = [...new Set([...fixed, ...edges])]
      .filter((at) => at >= fleet.from && at <= fleet.until)
      .sort((a, b) => a - b);
  }

  /** The most bytes that can have been collected at `by`, which is an edge. */
  most(by: UnixMillis, deadlines: boolean): number {
    const last = this.#edges.indexOf(by);
    return (solve(this.#solver, this.#program(last, deadlines, false)) ?? 0) * MB;
  }

  /** The least moment at which everything can have been collected. */
  earliestEnd(): UnixMillis | null {
    let [low, high] = [1, this.#edges.length - 1];
    const enough = (last: number): boolean => this.most(this.#edges[last]!, false) >= this.bytes * (1 - 1e-7);
    if (!enough(high)) return null;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (enough(middle)) high = middle;
      else low = middle + 1;
    }
    const rest = solve(this.#solver, this.#program(low, false, true)) ?? 1;
    const [start, end] = [this.#edges[low - 1]!, this.#edges[low]!];
    return start + rest * (end - start);
  }

  /**
   * One column for each snapshot and interval in which it may travel, in megabytes. With `shrink` all must be
   * collected, and one more column is the used part of the last interval, to be as small as can be.
   */
  #program(last: number, deadlines: boolean, shrink: boolean): LinearProgram {
    const columns: { readonly cost: number; readonly most: number; readonly rows: [number, number][] }[] = [];
    const rows: { lower: number; upper: number }[] = this.#pieces.map(({ snapshot }) => ({
      lower: shrink ? (snapshot.bytes / MB) * (1 - 1e-6) : 0,
      upper: snapshot.bytes / MB,
    }));
    const lineRows = new Map<string, number>();
    const shrunk: [number, number][] = [];
    const rowFor = (line: number, k: number): number => {
      const key = `${line} ${k}`;
      const known = lineRows.get(key);
      if (known !== undefined) return known;
      const capacity = this.#capacity(line, k);
      const scaled = shrink && k === last;
      const row = rows.push({ lower: -Infinity, upper: scaled ? 0 : capacity }) - 1;
      if (scaled) shrunk.push([row, -capacity]);
      lineRows.set(key, row);
      return row;
    };
    for (const [index, { client, snapshot, spans }] of this.#pieces.entries()) {
      const by = deadlines ? (snapshot.deadline ?? Infinity) : Infinity;
      for (let k = 1; k <= last; k++) {
        const [start, end] = [this.#edges[k - 1]!, this.#edges[k]!];
        if (end > by || !spans.some((span) => span.start <= start && end <= span.end)) continue;
        const most = (client.speed * (end - start)) / 1000 / MB;
        const own: [number, number][] = [[index, 1]];
        for (let line: number | null = client.line; line !== null; line = this.#fleet.lines[line]!.parent) {
          own.push([rowFor(line, k), 1]);
        }
        if (shrink && k === last) {
          const row = rows.push({ lower: -Infinity, upper: 0 }) - 1;
          own.push([row, 1]);
          shrunk.push([row, -most]);
        }
        columns.push({ cost: shrink ? 0 : 1, most, rows: own });
      }
    }
    if (shrink) columns.push({ cost: 1, most: 1, rows: shrunk });
    return programOf(columns, rows, shrink ? 1 : -1);
  }

  #capacity(line: number, k: number): number {
    const { capacity, cap } = this.#fleet.lines[line]!;
    const [start, end] = [this.#edges[k - 1]!, this.#edges[k]!];
    const restored = timelineOf(this.#fleet)[line]!.findLast(({ at }) => at <= start)?.capacity;
    const rate = Math.min(restored ?? valueAt(capacity, start), valueAt(cap, start));
    return (rate * (end - start)) / 1000 / MB;
  }
}

const MB = 1e6;

function programOf(
  columns: readonly {
    readonly cost: number;
    readonly most: number;
    readonly rows: readonly [number, number][];
  }[],
  rows: readonly { readonly lower: number; readonly upper: number }[],
  sense: 1 | -1,
): LinearProgram {
  const starts = new Int32Array(columns.length + 1);
  for (const [at, column] of columns.entries()) starts[at + 1] = starts[at]! + column.rows.length;
  const entries = columns.flatMap((column) => [...column.rows].sort((a, b) => a[0] - b[0]));
  return {
    numCols: columns.length,
    numRows: rows.length,
    sense,
    colCost: Float64Array.from(columns, ({ cost }) => cost),
    colLower: new Float64Array(columns.length),
    colUpper: Float64Array.from(columns, ({ most }) => most),
    rowLower: Float64Array.from(rows, ({ lower }) => lower),
    rowUpper: Float64Array.from(rows, ({ upper }) => upper),
    matrix: {
      format: 'csc',
      numRows: rows.length,
      numCols: columns.length,
      starts,
      indices: Int32Array.from(entries, ([row]) => row),
      values: Float64Array.from(entries, ([, value]) => value),
    },
  };
}
