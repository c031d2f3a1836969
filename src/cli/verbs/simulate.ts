import { writeFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { Command } from 'commander';
import { LowtideError, messageOf } from '../../model/errors.ts';
import { YamlFile } from '../../node/yaml-file.ts';
import { drawNight } from '../../simulate/picture.ts';
import { readScenario, type Scenario } from '../../simulate/scenario.ts';
import { scenarioKeysAt, scenarioShape } from '../../simulate/scenario-shape.ts';
import { simulate as simulateFleet, type Simulation } from '../../simulate/simulate.ts';
import { absolute, type CommonOptions, type Context } from '../context.ts';
import { completionText, lineColumns, metricPairs } from '../simulation-text.ts';
import { pairLines } from '../text.ts';
import { action, newVerb } from '../verb.ts';

interface SimulateOptions extends CommonOptions {
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
        'lowtide simulate examples/scenarios/branches.yaml --svg night.svg --seed 7',
        'another draw, with a picture',
      ],
    ],
  })
    .argument('<SCENARIO>', 'a scenario file (YAML)')
    .option(
      '--svg <FILE>',
      'write a picture: who sends when, how full the lines are, what is collected by when',
    )
    .option('--seed <SEED>', "draw sizes, presence and failures from this instead of the file's seed")
    .action(action(simulate));
}

async function simulate(context: Context, path: string, options: SimulateOptions): Promise<void> {
  const { output } = context;
  const scenario = await scenarioOf(context, path, options.seed);
  const simulation = await played(context, scenario);
  show(context, scenario, simulation);
  if (options.svg === undefined) return;
  const picture = drawNight(simulation.night, simulation.metrics, {
    subtitle: completionText(scenario.fleet, simulation.metrics),
  });
  await write(options.svg, picture);
  output.line(`\nThe picture is in ${options.svg}.`);
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
