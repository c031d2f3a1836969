import { writeFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { Command } from 'commander';
import { LowtideError, messageOf } from '../../model/errors.ts';
import { YamlFile } from '../../node/settings/yaml-file.ts';
import { quantile } from '../../simulate/metrics.ts';
import { drawNight } from '../../simulate/picture.ts';
import { readScenario, type Scenario } from '../../simulate/scenario.ts';
import { scenarioKeysAt, scenarioShape } from '../../simulate/scenario-shape.ts';
import { simulate as simulateFleet, type Simulation } from '../../simulate/simulate.ts';
import { absolute, type CommonOptions, type Context } from '../context.ts';
import { completionText, lineColumns, metricPairs } from '../simulation-text.ts';
import { countText, durationText, pairLines } from '../text.ts';
import { readReplay, type ReplayChoice } from '../replay.ts';
import { action, newVerb } from '../verb.ts';

interface SimulateOptions extends CommonOptions, ReplayChoice {
  readonly history?: string;
  readonly svg?: string;
  readonly seed?: string;
}

export function simulateVerb(): Command {
  return newVerb('simulate', {
    summary: 'Try a night of a fleet that need not exist',
    about:
      'The planner of the center decides who sends when; a model of the network says how fast. Nothing is backed up. ' +
      'The scenario file names lines, windows and groups of computers: see docs/simulate.md and examples/scenarios.',
    examples: [
      ['lowtide simulate examples/scenarios/branches.yaml', 'the figures of that night'],
      [
        'lowtide simulate --history /var/lib/lowtide/center --days 30 --windows 22:00-04:00',
        'the last month of a center again, with other hours',
      ],
      [
        'lowtide simulate examples/scenarios/branches.yaml --svg night.svg --seed 7',
        'another draw, with a picture',
      ],
    ],
  })
    .argument('[SCENARIO]', 'a scenario file (YAML)')
    .option(
      '--svg <FILE>',
      'write a picture: who sends when, how full the lines are, what is collected by when',
    )
    .option('--seed <SEED>', "draw sizes, presence and failures from this instead of the file's seed")
    .option('--history <DIR>', "instead of a file: what this center's ledger says of the past, again")
    .option('--days <COUNT>', 'of the history (30)')
    .option('--windows <WINDOWS>', 'of the center, instead of those it has; with --history')
    .option('--streams <COUNT>', 'at the same time, instead of those it has; with --history')
    .option('--rate <RATE>', 'of all transfers together, instead of the one it has; with --history')
    .action(action(simulate));
}

async function simulate(context: Context, path: string | undefined, options: SimulateOptions): Promise<void> {
  const { output } = context;
  const { scenario, waits } = await chosen(context, path, options);
  const simulation = await played(context, scenario);
  show(context, scenario, simulation);
  if (waits !== null) showWaits(context, simulation, waits);
  if (options.svg === undefined) return;
  const picture = drawNight(simulation.night, simulation.metrics, {
    subtitle: completionText(scenario.fleet, simulation.metrics),
  });
  await write(options.svg, picture);
  output.line(`\nThe picture is in ${options.svg}.`);
}

/** A scenario file, or a center's past with how long its backups really waited. */
async function chosen(
  context: Context,
  path: string | undefined,
  options: SimulateOptions,
): Promise<{ readonly scenario: Scenario; readonly waits: readonly number[] | null }> {
  if ((path === undefined) === (options.history === undefined)) {
    throw new LowtideError('bad-request', 'name a scenario file or a center with --history, one of them');
  }
  const { history, seed, days, windows, streams, rate } = options;
  if (history !== undefined) {
    // Nothing of the past is left to chance.
    refuse({ seed }, 'with a scenario file only');
    return await readReplay(context, history, options);
  }
  refuse({ days, windows, streams, rate }, 'with --history only: a scenario file says it itself');
  return { scenario: await scenarioOf(context, path!, seed), waits: null };
}

/** An option that would count for nothing is a misunderstanding. */
function refuse(options: Readonly<Record<string, string | undefined>>, why: string): void {
  const given = Object.entries(options).find(([, value]) => value !== undefined);
  if (given !== undefined) throw new LowtideError('bad-request', `--${given[0]} goes ${why}`);
}

function showWaits({ output }: Context, { night }: Simulation, waits: readonly number[]): void {
  const again = night.fates
    .flatMap(({ collectedAt, snapshot }) => (collectedAt === null ? [] : [collectedAt - snapshot.readyAt]))
    .sort((a, b) => a - b);
  const rows = [
    { which: 'as it was', times: waits },
    { which: 'as it would be', times: again },
  ].map(({ which, times }) => ({
    which,
    collected: times.length,
    waited_p50: quantile(times, 0.5),
    waited_p95: quantile(times, 0.95),
    waited_max: times.at(-1) ?? null,
  }));
  const span = (ms: number | null): string => (ms === null ? '-' : durationText(ms));
  output.line();
  output.table(
    'waits',
    rows,
    [
      { title: 'from offer to arrival', text: ({ which }) => which },
      { title: 'backups', align: 'right', text: ({ collected }) => countText(collected) },
      { title: 'half within', align: 'right', text: ({ waited_p50 }) => span(waited_p50) },
      { title: '95 % within', align: 'right', text: ({ waited_p95 }) => span(waited_p95) },
      { title: 'longest', align: 'right', text: ({ waited_max }) => span(waited_max) },
    ],
    '',
  );
}

/** Lets signals through now and then. */
async function played({ stop }: Context, { fleet, seed, yields }: Scenario): Promise<Simulation> {
  const steps = simulateFleet(fleet, seed, yields);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await setImmediate();
    stop.throwIfAborted();
  }
}

async function scenarioOf({ world }: Context, path: string, seed: string | undefined): Promise<Scenario> {
  const file = new YamlFile(world, absolute(path), scenarioShape, scenarioKeysAt);
  const read = await file.read();
  return readScenario({ value: read.value, bad: (place, message) => read.bad(place, message) }, seed);
}

function show({ output }: Context, { fleet, seed }: Scenario, { metrics }: Simulation): void {
  const { lines, ...totals } = metrics;
  output.result(completionText(fleet, metrics));
  output.result('');
  for (const line of pairLines(metricPairs(fleet, metrics))) output.result(line);
  output.result('');
  const busy = lines.filter(({ bytes }) => bytes > 0).sort((a, b) => b.bytes - a.bytes);
  output.table('line', output.json ? busy : busy.slice(0, 20), lineColumns, 'Nothing was sent.');
  if (busy.length > 20) output.line(`and ${busy.length - 20} more lines (--json has them all)`);
  output.message({ message_type: 'summary', scenario: fleet.name, seed, ...totals });
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw new LowtideError('bad-request', `the picture cannot be written: ${messageOf(error)}`);
  }
}
