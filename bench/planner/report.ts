/**
 * Tables of what run.ts has left in bench/results/planner, in Markdown.
 *
 *   node bench/planner/report.ts [FOLDER]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { contenders } from './contenders.ts';
import type { Results } from './run.ts';
import { bootstrap, type Interval, mean } from './statistics.ts';
import type { Trial } from './try.ts';

const folder = process.argv[2] ?? join(import.meta.dirname, '../results/planner');

const interval = ({ mean, low, high }: Interval, digits = 2): string =>
  `${mean.toFixed(digits)} (${low.toFixed(digits)}-${high.toFixed(digits)})`;

/** The planner's hours over another's, on the same seeds. */
function ratio(results: Results, name: string): string {
  const [planner, other] = [results.trials['P']?.bySeed ?? {}, results.trials[name]?.bySeed ?? {}];
  const both = Object.keys(planner).filter((seed) => other[seed] !== undefined);
  if (both.length === 0 || name === 'P') return '';
  return interval(bootstrap(both.map((seed) => planner[seed]!.hours / other[seed]!.hours)));
}

function overBound(results: Results, bySeed: Readonly<Record<string, Trial>>): string {
  const ratios = Object.entries(bySeed).flatMap(([seed, { hours, opening }]) => {
    const end = results.bounds[seed]?.allCollectedAt;
    return end === undefined || end === null ? [] : [(hours * 3_600_000) / (end - opening)];
  });
  return ratios.length === 0 ? '-' : interval(bootstrap(ratios));
}

function table(name: string, results: Results): string[] {
  const feasible = Object.values(results.bounds).filter(({ deadlinesFeasible }) => deadlinesFeasible).length;
  const bounds = Object.keys(results.bounds).length;
  const rows = contenders.flatMap(({ name, title }) => {
    const tried = results.trials[name];
    if (tried === undefined) return [];
    const trials = Object.values(tried.bySeed);
    const average = (of: (trial: Trial) => number, digits: number): string =>
      mean(trials.map(of)).toFixed(digits);
    const most = (of: (trial: Trial) => number): number =>
      trials.reduce((top, trial) => Math.max(top, of(trial)), 0);
    const cells = [
      `${name} ${title}`,
      tried.value === 0 ? '' : String(tried.value),
      String(trials.length),
      interval(bootstrap(trials.map(({ hours }) => hours))),
      overBound(results, tried.bySeed),
      ratio(results, name),
      average(({ misses }) => misses, 1),
      average(({ jain }) => jain, 3),
      most(({ peakOfCap }) => peakOfCap).toFixed(2),
      most(({ slowdownP99 }) => slowdownP99).toFixed(2),
      average(({ resentShare }) => resentShare * 100, 1),
      average(({ outsideSeconds }) => outsideSeconds / 3600, 1),
    ];
    return [`| ${cells.join(' | ')} |`];
  });
  return [
    `### ${name}: ${results.title}`,
    '',
    `All deadlines can be kept in ${feasible} of ${bounds} draws.`,
    '',
    '| | tuned | draws | hours until all is collected | over the bound | planner over it | misses | Jain | peak of cap | p99 slowdown | sent again % | h outside windows |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...rows,
    '',
  ];
}

for (const file of readdirSync(folder).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))) {
  const results = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Results;
  console.log(table(file.replace('.json', ''), results).join('\n'));
}
