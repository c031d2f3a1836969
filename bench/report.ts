import type { Cost } from './meter.ts';

/** All rounds of one row of a table. */
interface Row {
  readonly costs: Cost[];
  readonly notes: string[];
}

/** Tables of costs, rows in the order in which they came first. */
export class Report {
  readonly #tables = new Map<string, Map<string, Row>>();
  readonly #lost: string[] = [];

  /** @param note a fact of this round beside its cost: bytes stored, where they came from */
  add(table: string, what: string, cost: Cost, note = ''): void {
    const rows = this.#tables.get(table) ?? new Map<string, Row>();
    this.#tables.set(table, rows);
    const row = rows.get(what) ?? { costs: [], notes: [] };
    rows.set(what, row);
    row.costs.push(cost);
    row.notes.push(note);
    const { wallMs, cpuMs, peakBytes } = cost;
    console.log(
      `${table} | ${what}: ${seconds(wallMs)} s, CPU ${seconds(cpuMs)} s, peak ${mebibytes(peakBytes)} MiB  ${note}`,
    );
  }

  /** It gave no figure. */
  lost(table: string, what: string, why: string): void {
    this.#lost.push(`- ${table}, ${what}: ${why.slice(0, 200)}`);
    console.log(`${table} | ${what}: ${why}`);
  }

  /**
   * Medians over the rounds; with more than one round, the slowest and the fastest too. Of rows `phase: tool` each says
   * how many times the wall time of `phase: lowtide` it took.
   */
  markdown(): string {
    const tables = [...this.#tables].map(([title, rows]) => {
      const lines = [...rows].map(([what, row]) => {
        const ours = rows.get(`${what.slice(0, what.lastIndexOf(':'))}: lowtide`);
        return `| ${[what, ...cellsOf(row, ours)].join(' | ')} |`;
      });
      return [
        `## ${title}`,
        '',
        '| | wall s | x lowtide | CPU s | peak MiB | |',
        '|---|---:|---:|---:|---:|---|',
        ...lines,
      ].join('\n');
    });
    if (this.#lost.length > 0) tables.push(['## What gave no figure', '', ...this.#lost].join('\n'));
    return tables.join('\n\n');
  }
}

function cellsOf({ costs, notes }: Row, ours: Row | undefined): string[] {
  const walls = costs.map(({ wallMs }) => wallMs);
  const range = walls.length < 2 ? '' : ` (${seconds(Math.min(...walls))} to ${seconds(Math.max(...walls))})`;
  const wall = seconds(median(walls)) + range;
  const ratio =
    ours === undefined ? '' : (median(walls) / median(ours.costs.map((cost) => cost.wallMs))).toFixed(2);
  const cpu = seconds(median(costs.map(({ cpuMs }) => cpuMs)));
  const peak = Math.max(...costs.map(({ peakBytes }) => peakBytes));
  return [wall, ratio, cpu, mebibytes(peak), notes.at(-1) ?? ''];
}

function median(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const seconds = (ms: number): string => (ms / 1000).toFixed(ms < 10_000 ? 2 : 1);
const mebibytes = (bytes: number): string => (bytes === 0 ? '-' : (bytes / 2 ** 20).toFixed(0));

/** `612 MB`: millions, as the trees are made. */
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 10e6 ? 2 : 0)} MB`;
