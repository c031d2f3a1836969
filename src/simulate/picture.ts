import { intervalsBetween } from '../schedule/windows.ts';
import type { Metrics } from './metrics.ts';
import { BIN_MS, type Fate, type NightResult, type Stretch } from './night.ts';
import { valueAt } from './steps.ts';
import { colourOf, label, type Panel, path, pictureOf, rectangle, round, type TimeAxis, xOf } from './svg.ts';

const LEFT = 150;
const WIDTH = 900;
const ROWS_NAMED_MOST = 40;
const ROWS_MOST = 400;
const LINES_MOST = 24;
const CURVE_HEIGHT = 140;
const STRIP_HEIGHT = 16;
/** Columns of a strip: what lies within one is its mean. */
const COLUMNS = 300;

/** The night as an SVG: who sent when, how full the lines were, how much was collected by when. */
export function drawNight(
  night: NightResult,
  metrics: Metrics,
  texts: { readonly subtitle: string },
): string {
  const { fleet } = night;
  const axis: TimeAxis = { from: fleet.from, until: fleet.until, zone: fleet.zone, left: LEFT, width: WIDTH };
  return pictureOf(axis, fleet.name, texts.subtitle, [
    planPanel(night, axis),
    linesPanel(night, metrics, axis),
    curvePanel(night, axis),
  ]);
}

function groupColours(night: NightResult): Map<string, string> {
  const groups = [...new Set(night.fleet.clients.map(({ group }) => group))];
  return new Map(groups.map((group, at) => [group, colourOf(at)]));
}

/** One row a computer in the order of their first bytes; of a large fleet every so many-th. */
function planPanel(night: NightResult, axis: TimeAxis): Panel {
  const colours = groupColours(night);
  const byClient = Map.groupBy(night.stretches, ({ fate }) => fate.client);
  const sorted = [...byClient].sort(([, a], [, b]) => a[0]!.start - b[0]!.start);
  const every = Math.max(1, Math.ceil(sorted.length / ROWS_MOST));
  const rows = sorted.filter((_, at) => at % every === 0);
  const named = rows.length <= ROWS_NAMED_MOST;
  const step = named ? 14 : Math.max(1, Math.min(8, Math.floor(480 / Math.max(1, rows.length))));
  const height = Math.max(20, rows.length * step) + 22;
  const note = every === 1 ? '' : `, one in ${every} of them`;
  return {
    title: `Who sends when: ${sorted.length.toLocaleString('en-US')} computers${note}`,
    height,
    draw(y) {
      const parts = [closedBands(night, axis, y, height - 22)];
      for (const [at, [client, stretches]] of rows.entries()) {
        const top = y + at * step;
        const fill = colours.get(client.spec.group)!;
        parts.push(...stretches.map((stretch) => bar(axis, stretch, top, step, fill)));
        if (named) parts.push(label(axis.left - 8, top + step - 3, client.spec.name, 'end'));
      }
      parts.push(legend(colours, axis, y + height - 6));
      return parts.join('\n');
    },
  };
}

function bar(axis: TimeAxis, { start, end }: Stretch, top: number, step: number, fill: string): string {
  const x = xOf(axis, start);
  const gap = step > 3 ? 1 : 0;
  return rectangle(x, top, Math.max(0.8, xOf(axis, end) - x), step - gap, fill);
}

function closedBands({ fleet }: NightResult, axis: TimeAxis, y: number, height: number): string {
  const open = intervalsBetween(fleet.conditions.windows, fleet.from, fleet.until);
  const edges = [fleet.from, ...open.flatMap(({ start, end }) => [start, end]), fleet.until];
  const bands: string[] = [];
  for (let at = 0; at + 1 < edges.length; at += 2) {
    const x = xOf(axis, edges[at]!);
    const width = xOf(axis, edges[at + 1]!) - x;
    if (width > 0) bands.push(rectangle(x, y, width, height, '#eef1f4', ' fill-opacity="0.9"'));
  }
  return bands.join('\n');
}

function legend(colours: ReadonlyMap<string, string>, axis: TimeAxis, y: number): string {
  const parts: string[] = [];
  let x = axis.left;
  for (const [group, colour] of [...colours].slice(0, 8)) {
    parts.push(rectangle(x, y - 9, 10, 10, colour), label(x + 15, y, group));
    x += 36 + group.length * 7;
  }
  parts.push(rectangle(x, y - 9, 10, 10, '#e3e8ec'), label(x + 15, y, "the center's windows are closed"));
  return parts.join('\n');
}

/** A strip a line, the fullest first: white is empty, dark is full, red is more than collection may take. */
function linesPanel(night: NightResult, metrics: Metrics, axis: TimeAxis): Panel {
  const order = metrics.lines
    .map(({ bytes }, index) => ({ index, bytes }))
    .filter(({ bytes }) => bytes > 0)
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, LINES_MOST);
  const more = metrics.lines.filter(({ bytes }) => bytes > 0).length - order.length;
  const height = Math.max(20, order.length * (STRIP_HEIGHT + 4));
  return {
    title: `How full the lines are${more > 0 ? ` (the ${order.length} with most bytes, ${more} more not shown)` : ''}: dark is full, red is above what collection may take`,
    height,
    draw: (y) =>
      order
        .map(({ index }, at) => {
          const top = y + at * (STRIP_HEIGHT + 4);
          const { name } = metrics.lines[index]!;
          return label(axis.left - 8, top + 12, name, 'end') + strip(night, index, axis, top);
        })
        .join('\n'),
  };
}

function strip(night: NightResult, index: number, axis: TimeAxis, y: number): string {
  const { capacity, cap } = night.fleet.lines[index]!;
  const { bytes } = night.network.lines[index]!.usage;
  const parts = [rectangle(axis.left, y, axis.width, STRIP_HEIGHT, 'none', ' stroke="#c5ccd3"')];
  const perColumn = Math.max(1, Math.ceil(bytes.length / COLUMNS));
  const columnWidth = (axis.width * perColumn) / bytes.length;
  for (let column = 0; column * perColumn < bytes.length; column++) {
    const at = axis.from + column * perColumn * BIN_MS;
    const part = bytes.subarray(column * perColumn, (column + 1) * perColumn);
    const mean = part.reduce((a, b) => a + b, 0) / (part.length * (BIN_MS / 1000));
    if (mean < valueAt(capacity, at) / 1000) continue;
    const share = Math.min(1, mean / valueAt(capacity, at));
    const over = mean > valueAt(cap, at) * 1.001;
    const fill = over ? '#c0392b' : '#1f5c8b';
    const x = axis.left + column * columnWidth;
    const width = Math.min(columnWidth + 0.3, axis.left + axis.width - x);
    parts.push(
      rectangle(x, y + 1, width, STRIP_HEIGHT - 2, fill, ` fill-opacity="${round(0.15 + 0.85 * share)}"`),
    );
  }
  return parts.join('');
}

/** How many of all there are were ready, and collected, by when; and of their bytes. */
function curvePanel({ fates }: NightResult, axis: TimeAxis): Panel {
  const total = Math.max(1, fates.length);
  const bytes = Math.max(
    1,
    fates.reduce((sum, { snapshot }) => sum + snapshot.bytes, 0),
  );
  const done = fates.filter((fate): fate is Fate & { collectedAt: number } => fate.collectedAt !== null);
  const curve = (
    moments: readonly (readonly [at: number, share: number])[],
    y: number,
    more: string,
  ): string => {
    let sum = 0;
    const points: [number, number][] = [[axis.left, y + CURVE_HEIGHT]];
    for (const [at, share] of [...moments].sort((a, b) => a[0] - b[0])) {
      const x = xOf(axis, at);
      const last = points.at(-1)!;
      if (x - last[0] > 1) points.push([x, last[1]]);
      sum += share;
      points.push([x, y + CURVE_HEIGHT * (1 - Math.min(1, sum))]);
    }
    points.push([axis.left + axis.width, points.at(-1)![1]]);
    return path(thinned(points), `fill="none" ${more}`);
  };
  return {
    title: 'Collected by when: snapshots (blue), bytes (orange); snapshots that were ready (grey)',
    height: CURVE_HEIGHT,
    draw: (y) =>
      [
        ...[0, 0.5, 1].map((share) =>
          label(axis.left - 8, y + CURVE_HEIGHT * (1 - share) + 4, `${share * 100} %`, 'end'),
        ),
        rectangle(axis.left, y, axis.width, CURVE_HEIGHT, 'none', ' stroke="#c5ccd3"'),
        curve(
          fates.map(({ snapshot }) => [snapshot.readyAt, 1 / total]),
          y,
          'stroke="#9aa5af" stroke-dasharray="4 3"',
        ),
        curve(
          done.map(({ snapshot, collectedAt }) => [collectedAt, snapshot.bytes / bytes]),
          y,
          'stroke="#c8702a" stroke-width="1.5"',
        ),
        curve(
          done.map(({ collectedAt }) => [collectedAt, 1 / total]),
          y,
          'stroke="#2b6ca3" stroke-width="2"',
        ),
      ].join('\n'),
  };
}

/** Points so close together that nobody could see them apart are one. */
function thinned(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const kept: (readonly [number, number])[] = [];
  for (const [at, point] of points.entries()) {
    const last = kept.at(-1);
    const far =
      last === undefined || Math.abs(point[0] - last[0]) >= 0.5 || Math.abs(point[1] - last[1]) >= 0.5;
    if (far || at === points.length - 1) kept.push(point);
  }
  return kept;
}
