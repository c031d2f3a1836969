/**
 * The planner against other ways to collect, on S1-S12 of FIELD A.4.4, with a bound that none can beat.
 *
 *   node bench/planner/run.ts [--scenarios S1,S2] [--contenders P,B3] [--seeds 20] [--first 1] [--no-bound] [--again]
 *
 * Every contender that has something to tune is tuned on three other seeds first. Results are added to
 * bench/results/planner/SCENARIO.json; report.ts makes the tables of them.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Bound, boundOf } from './bound.ts';
import { contenders, type Contender } from './contenders.ts';
import { loadSolver, type Solver } from './highs.ts';
import { scenarios, type BenchScenario } from './scenarios.ts';
import { mean } from './statistics.ts';
import { tryOut, type Trial } from './try.ts';

export interface Results {
  readonly title: string;
  /** By seed. */
  readonly bounds: Record<string, Bound>;
  /** By contender: what it was tuned to, and trials by seed. */
  readonly trials: Record<string, { readonly value: number; readonly bySeed: Record<string, Trial> }>;
}

const TUNING_SEEDS = [901, 902, 903];
const FOLDER = join(import.meta.dirname, '../results/planner');

/** Most misses first, then time: so every baseline gets its best. */
function tune(scenario: BenchScenario, contender: Contender): number {
  if (contender.tuned.length === 1) return contender.tuned[0]!;
  const fleets = TUNING_SEEDS.map((seed) => [seed, scenario.fleet(seed)] as const);
  const scores = contender.tuned.map((value) => ({
    value,
    score: mean(
      fleets.map(([seed, fleet]) => {
        const { hours, p95Hours, uncollected } = tryOut(fleet, contender, value, seed);
        return hours + p95Hours / 100 + uncollected;
      }),
    ),
  }));
  return scores.sort((a, b) => a.score - b.score)[0]!.value;
}

function load({ name, title, boundsOf }: BenchScenario): Results {
  const read = (name: string): Results => {
    const file = join(FOLDER, `${name}.json`);
    if (!existsSync(file)) return { title, bounds: {}, trials: {} };
    return { ...(JSON.parse(readFileSync(file, 'utf8')) as Results), title };
  };
  const own = read(name);
  return boundsOf === undefined ? own : { ...own, bounds: read(boundsOf).bounds };
}

function addBounds(
  scenario: BenchScenario,
  results: Results,
  seeds: readonly number[],
  solver: Solver,
): void {
  for (const seed of seeds) results.bounds[seed] ??= boundOf(scenario.fleet(seed), solver);
}

function addTrials(
  scenario: BenchScenario,
  results: Results,
  contender: Contender,
  seeds: readonly number[],
): void {
  const known = results.trials[contender.name];
  const value = known?.value ?? tune(scenario, contender);
  const bySeed = known?.bySeed ?? {};
  for (const seed of seeds) bySeed[seed] ??= tryOut(scenario.fleet(seed), contender, value, seed);
  results.trials[contender.name] = { value, bySeed };
}

const { values } = parseArgs({
  options: {
    scenarios: { type: 'string' },
    contenders: { type: 'string' },
    seeds: { type: 'string', default: '20' },
    first: { type: 'string', default: '1' },
    'no-bound': { type: 'boolean', default: false },
    again: { type: 'boolean', default: false },
  },
});
const chosen = <T extends { readonly name: string }>(
  all: readonly T[],
  names: string | undefined,
): readonly T[] => (names === undefined ? all : all.filter(({ name }) => names.split(',').includes(name)));
const seeds = Array.from({ length: Number(values.seeds) }, (_, at) => Number(values.first) + at);
const solver = values['no-bound'] ? null : await loadSolver();
mkdirSync(FOLDER, { recursive: true });
for (const scenario of chosen(scenarios, values.scenarios)) {
  const results = load(scenario);
  const save = (): void =>
    writeFileSync(join(FOLDER, `${scenario.name}.json`), JSON.stringify(results, null, 1));
  for (const contender of chosen(contenders, values.contenders)) {
    if (values.again) delete results.trials[contender.name];
    const began = performance.now();
    addTrials(scenario, results, contender, seeds);
    save();
    const { value, bySeed } = results.trials[contender.name]!;
    const trials = seeds.map((seed) => bySeed[seed]!);
    const hours = mean(trials.map((trial) => trial.hours)).toFixed(2);
    const misses = mean(trials.map((trial) => trial.misses)).toFixed(1);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`${scenario.name} ${contender.name} (${value}): ${hours} h, ${misses} misses, ${seconds} s`);
  }
  if (solver !== null) {
    addBounds(scenario, results, seeds, solver);
    save();
    const hours = seeds.map((seed) => results.bounds[seed]!.allCollectedAt);
    console.log(
      `${scenario.name} bound: ${hours.filter((at) => at === null).length} of ${seeds.length} cannot be collected whole`,
    );
  }
}
