import { Command, Option } from 'commander';
import { type CommonOptions, type Context, runVerb } from './context.ts';
import type { LogMonitor } from './log-monitor.ts';

export interface VerbText {
  /** One line, for the list of verbs. */
  readonly summary: string;
  /** What it does, for a newcomer; paragraphs. */
  readonly about?: string;
  /** Command lines with what each does. */
  readonly examples: readonly (readonly [command: string, what: string])[];
}

/** What a daemon does whatever it is; a colon or a comma follows. */
export const FOREGROUND =
  'Stays in the foreground and logs to stdout, one line an event; Ctrl-C, SIGTERM or the end of its terminal stops it ' +
  'cleanly at any point of its work';

/** A verb with its explanation and its examples. `addOutputOptions` makes it complete. */
export function newVerb(name: string, text: VerbText): Command {
  const { summary, about, examples } = text;
  const command = new Command(name)
    .summary(summary)
    .description(about === undefined ? `${summary}.` : `${summary}.\n\n${about}`)
    .addHelpText('after', `\nExamples:\n${exampleLines(examples)}`);
  command.helpOption('-h, --help', 'this text');
  return command;
}

/** What every verb takes; last, so that the help shows a verb's own options first. */
export function addOutputOptions(verb: Command): void {
  verb
    .addOption(new Option('--json', 'one JSON object a line, each with a message_type').helpGroup('Output:'))
    .addOption(new Option('-q, --quiet', 'results and errors only').helpGroup('Output:'));
}

function exampleLines(examples: VerbText['examples']): string {
  return examples.map(([command, what]) => `  ${command}\n      ${what}`).join('\n');
}

/** Makes a verb once its code is there: nobody waits for the code of the others. */
export type Loads = Readonly<Record<string, () => Promise<Command>>>;

/** The verb called `only` if there is one, else all of them. */
export async function loaded(loads: Loads, only: string | undefined): Promise<Command[]> {
  const alone = only !== undefined && Object.hasOwn(loads, only);
  return await Promise.all((alone ? [loads[only]!] : Object.values(loads)).map((load) => load()));
}

/** A verb that only groups others: `center init`, `center run`. `path` is what to type in front of them. */
export function newGroup(
  name: string,
  summary: string,
  verbs: readonly Command[],
  path: string = name,
): Command {
  const group = new Command(name).summary(summary).description(`${summary}.`);
  group.helpOption('-h, --help', 'this text');
  group.helpCommand(false);
  for (const verb of verbs) group.addCommand(verb);
  group.addHelpText('after', `\n'lowtide ${path} VERB --help' explains a verb.`);
  return group;
}

/**
 * What commander calls with a verb's arguments and options: `work` gets a context in front of them. Commander does not
 * know their types: each verb says them.
 */
export function action(
  work: (context: Context, ...rest: never[]) => Promise<number | void>,
): (...rest: unknown[]) => Promise<void> {
  return async (...rest) => {
    const given = rest.slice(0, -1);
    await runVerb(given.at(-1) as CommonOptions, (context) => work(context, ...(given as never[])));
  };
}

/**
 * The same for a verb that begins before the program is loaded: `begin` gets the arguments and options first, and when
 * it is done the rest is loaded, beside whatever it has set going. `work` gets what came of it, or is not called.
 */
export function actionAfter<Begun>(
  begin: (...rest: never[]) => Promise<Begun>,
  work: (context: Context, begun: Begun, ...rest: never[]) => Promise<number | void>,
): (...rest: unknown[]) => Promise<void> {
  return async (...rest) => {
    const given = rest.slice(0, -1) as never[];
    const [begun] = await Promise.allSettled([begin(...given)]);
    await runVerb(given.at(-1)!, async (context) => {
      if (begun.status === 'rejected') throw begun.reason;
      return await work(context, begun.value, ...given);
    });
  };
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** The same for a daemon: what happens goes to its log. A clean stop by a signal is success. */
export function daemonAction(
  work: (context: Context, log: LogMonitor, ...rest: never[]) => Promise<void>,
): (...rest: unknown[]) => Promise<void> {
  return async (...rest) => {
    const given = rest.slice(0, -1);
    const { realClock } = await import('../world/clock.ts');
    const { logFor } = await import('./daemon.ts');
    const { make, log } = logFor(realClock().zone);
    const run = (context: Context): Promise<void> => work(context, log(), ...(given as never[]));
    await runVerb(given.at(-1) as CommonOptions, run, make);
  };
}
