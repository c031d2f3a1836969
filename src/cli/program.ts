import { Command, CommanderError } from 'commander';
import { LowtideError } from '../model/errors.ts';
import { Output } from './output.ts';
import { softwareVersion } from './software.ts';
import { addOutputOptions } from './verb.ts';
const ABOUT = `Lowtide backs up many computers to one or more centers while the network is at low tide:
each computer takes its backup when it suits its user, and the center fetches it when it
suits the network. It works just as well for one computer and a disk.

Start with 'lowtide demo', which shows all of it on this machine.`;

/** @param next the word after the verb */
type Load = (next?: string) => Promise<Command>;

/** A verb is loaded when it is asked for: nobody waits for the code of the others. */
const verbs: readonly (readonly [heading: string, verbs: Readonly<Record<string, Load>>])[] = [
  ['To see it work:', { demo: async () => (await import('./verbs/demo.ts')).demoVerb() }],
  [
    'Many computers and a center:',
    {
      center: async (next) => (await import('./verbs/center/center.ts')).centerGroup(next),
      relay: async (next) => (await import('./verbs/relay/relay.ts')).relayGroup(next),
      agent: async (next) => (await import('./verbs/agent/agent.ts')).agentGroup(next),
      job: async () => (await import('./verbs/agent/job.ts')).jobGroup(),
      status: async () => (await import('./verbs/agent/status.ts')).statusVerb(),
      spool: async () => (await import('./verbs/agent/spool.ts')).spoolGroup(),
      service: async () => (await import('./verbs/service.ts')).serviceGroup(),
      simulate: async () => (await import('./verbs/simulate.ts')).simulateVerb(),
    },
  ],
  [
    'One computer and a disk:',
    {
      init: async () => (await import('./verbs/init.ts')).initVerb(),
      backup: async () => (await import('./verbs/backup.ts')).backupVerb(),
    },
  ],
  [
    'Look, restore, check (a depot with --depot, else the agent of this machine):',
    {
      snapshots: async () => (await import('./verbs/snapshots.ts')).snapshotsVerb(),
      ls: async () => (await import('./verbs/ls.ts')).lsVerb(),
      find: async () => (await import('./verbs/find.ts')).findVerb(),
      diff: async () => (await import('./verbs/diff.ts')).diffVerb(),
      restore: async () => (await import('./verbs/restore.ts')).restoreVerb(),
      verify: async () => (await import('./verbs/verify.ts')).verifyVerb(),
      doctor: async () => (await import('./verbs/doctor.ts')).doctorVerb(),
      key: async () => (await import('./verbs/key.ts')).keyGroup(),
      debug: async () => (await import('./verbs/debug.ts')).debugGroup(),
    },
  ],
];

/** @param only one verb, if there is one of this name; else all of them. @param next likewise, of a group */
export async function newProgram(only?: string, next?: string): Promise<Command> {
  const program = new Command('lowtide')
    .description(ABOUT)
    .version(softwareVersion(), '-V, --version', 'the version')
    .helpOption('-h, --help', 'this text')
    .helpCommand(false)
    .optionsGroup('Options:');
  const alone = only !== undefined && verbs.some(([, loads]) => Object.hasOwn(loads, only));
  for (const [heading, loads] of verbs) {
    program.commandsGroup(heading);
    for (const [name, load] of Object.entries(loads))
      if (!alone || name === only) program.addCommand(await load(alone ? next : undefined));
  }
  program.addHelpText(
    'after',
    `
'lowtide VERB --help' explains a verb and shows examples.
Exit codes: 0 done, 1 failed, 3 done but some files could not be read or written,
4 spooled but not collected in the time that --wait gave, 130 interrupted.`,
  );
  return withManners(program);
}

/** Every command throws instead of ending the process, and says nothing itself about wrong usage. */
function withManners(command: Command): Command {
  command.exitOverride().configureOutput({ writeErr: () => {}, outputError: () => {} });
  command.configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 100), sortSubcommands: false });
  if (command.commands.length === 0) addOutputOptions(command);
  for (const sub of command.commands) withManners(sub);
  return command;
}

export async function runProgram(argv: readonly string[]): Promise<void> {
  const program = await newProgram(argv[0], argv[1]);
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    const bare = error.code === 'commander.help';
    if (bare) {
      process.stdout.write(commandOf(program, argv).helpInformation());
      process.exitCode = 1;
      return;
    }
    const output = new Output({ json: argv.includes('--json'), quiet: false });
    process.exitCode = output.error(usageError(error));
    output.warn(`See '${pathOf(commandOf(program, argv))} --help'.`);
  }
}

function usageError({ code, message }: CommanderError): LowtideError {
  const unknown = code === 'commander.unknownOption' || code === 'commander.unknownCommand';
  const sentence = message
    .replace(/^error: /, '')
    .replace(/\.?\s*\n/, ' ')
    .replace(/\.$/, '');
  return new LowtideError(unknown ? 'unknown-option' : 'bad-request', sentence);
}

/** The verb that the words before the first option name. */
function commandOf(program: Command, argv: readonly string[]): Command {
  let command = program;
  for (const word of argv) {
    const next = command.commands.find((sub) => sub.name() === word);
    if (next === undefined) return command;
    command = next;
  }
  return command;
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
