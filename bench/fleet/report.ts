import type { CenterPlan } from '../../src/node/center/people.ts';
import { quantile } from '../../src/simulate/metrics.ts';
import type { Line } from '../../test/real/processes.ts';
import type { Plotted } from './plot.ts';
import type { Way } from './wire.ts';

export interface Night {
  readonly opening: number;
  readonly end: number;
  readonly plotted: readonly Plotted[];
  /** What the center said before the opening. */
  readonly plan: CenterPlan;
  /** `center ledger` afterwards. */
  readonly rows: readonly Line[];
  /** In the order of `plotted`. */
  readonly ways: readonly Way[];
  readonly rates: ReadonlyMap<string, number>;
  /** Peak of each process, MiB; the center's is the last. */
  readonly memory: readonly number[];
}

/** How far a forecast may be off, as a part of the time from the opening. */
const FORECAST_OFF = 0.1;
/** After the end of its window a transfer has so long to stop. */
const STOP_MS = 2000;
/** What an agent says to its center without sending a backup, in any second: far below the smallest block of this run. */
const TALK_BYTES = 8 * 1024;
const SECOND = 1000;

interface Row {
  readonly name: string;
  readonly line: string;
  readonly foreseen: number | null;
  readonly arrived: number | null;
}

/** @returns the text, whether the targets are kept, and the figures */
export function report(night: Night): { text: string; kept: boolean; figures: object } {
  const rows = rowsOf(night);
  const lines = [...night.rates].map(([name, rate]) => lineFigures(night, rows, name, rate));
  const whole = completion(night, rows);
  const errors = rows.flatMap(({ foreseen, arrived }) =>
    foreseen === null || arrived === null ? [] : [Math.abs(arrived - foreseen) / SECOND],
  );
  errors.sort((a, b) => a - b);
  const outside = outsideFigures(night);
  const kept = whole.off <= FORECAST_OFF && outside.most <= TALK_BYTES;
  const figures = { whole, lines, outside, errors: quantiles(errors), memory: night.memory };
  const text = [
    `collected: ${rows.filter(({ arrived }) => arrived !== null).length} of ${rows.length}; foreseen to fit: ${rows.filter(({ foreseen }) => foreseen !== null).length}`,
    `all that fitted was collected ${seconds(whole.measured)} after the opening, foreseen ${seconds(whole.foreseen)}: ${percent(whole.off)} off`,
    ...lines.map(
      ({ name, measured, foreseen, off, peak }) =>
        `  ${name}: ${seconds(measured)}, foreseen ${seconds(foreseen)}: ${percent(off)} off; most in 10 s over the rate ${peak.toFixed(3)}`,
    ),
    `each backup's arrival against its forecast: half within ${figures.errors.half.toFixed(1)} s, nine tenths within ${figures.errors.most.toFixed(1)} s`,
    `outside of its hours and ${STOP_MS / 1000} s: at most ${outside.most} bytes up in any second of any agent (${outside.who}), ${outside.stopped} stopped at the end of their hours with more to send`,
    `memory at its peak: ${night.memory.slice(0, -1).join(', ')} MiB of the agents' processes, ${night.memory.at(-1)} MiB of the center's`,
    kept ? 'kept' : 'NOT KEPT',
  ].join('\n');
  return { text, kept, figures };
}

function rowsOf({ plotted, plan, rows }: Night): Row[] {
  const offers = new Map(plan.offers.map((offer) => [offer.clientName, offer]));
  const arrivals = new Map(
    rows.map((row) => [String(row['client_name']), row['arrived_at'] as number | null]),
  );
  return plotted.map(({ name, line }) => {
    const expected = offers.get(name)?.expected ?? null;
    const foreseen = expected !== null && expected.fits ? expected.end!.likely : null;
    return { name, line, foreseen, arrived: arrivals.get(name) ?? null };
  });
}

interface Completion {
  readonly measured: number;
  readonly foreseen: number;
  readonly off: number;
}

/** Milliseconds from the opening until the last of those that were foreseen to fit. */
function completion({ opening }: Night, rows: readonly Row[]): Completion {
  const fitting = rows.filter(({ foreseen }) => foreseen !== null);
  const last = (of: (row: Row) => number | null): number =>
    fitting.reduce((most, row) => Math.max(most, (of(row) ?? Infinity) - opening), 0);
  const [measured, foreseen] = [last(({ arrived }) => arrived), last(({ foreseen }) => foreseen)];
  return { measured, foreseen, off: Math.abs(measured - foreseen) / foreseen };
}

function lineFigures(night: Night, rows: readonly Row[], name: string, rate: number) {
  const own = completion(
    night,
    rows.filter(({ line }) => line === name),
  );
  const ways = night.ways.filter((_, at) => night.plotted[at]!.line === name);
  const used: number[] = [];
  for (let at = night.opening - 5 * SECOND; at < night.end + 5 * SECOND; at += SECOND) {
    used.push(ways.reduce((sum, way) => sum + way.bytesBetween(at, at + SECOND), 0) / rate);
  }
  let peak = 0;
  for (let at = 0; at + 10 <= used.length; at++) {
    peak = Math.max(peak, used.slice(at, at + 10).reduce((a, b) => a + b, 0) / 10);
  }
  return { name, ...own, peak, used };
}

/** From a minute before the opening, so that backups being offered do not count, to the end of the run. */
function outsideFigures({ opening, end, plotted, ways, rows }: Night) {
  let [most, who] = [0, '-'];
  let stopped = 0;
  const arrived = new Set(rows.filter((row) => row['arrived_at'] !== null).map((row) => row['client_name']));
  for (const [at, { name, start, end: close }] of plotted.entries()) {
    const way = ways[at]!;
    if (!arrived.has(name) && way.bytesBetween(close - 2 * SECOND, close) > TALK_BYTES) stopped++;
    for (let from = opening - 15 * SECOND; from < end + 9 * SECOND; from += SECOND) {
      if (from + SECOND > start && from < close + STOP_MS) continue;
      const bytes = way.bytesBetween(from, from + SECOND);
      if (bytes > most) [most, who] = [bytes, `${name} at ${new Date(from).toISOString().slice(11, 19)}`];
    }
  }
  return { most, who, stopped };
}

const quantiles = (sorted: readonly number[]) => ({
  half: quantile(sorted, 0.5) ?? 0,
  most: quantile(sorted, 0.9) ?? 0,
});
const seconds = (ms: number): string => `${(ms / SECOND).toFixed(1)} s`;
const percent = (part: number): string => `${(part * 100).toFixed(1)} %`;
