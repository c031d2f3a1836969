import { Command, CommanderError } from 'commander';
import { LowtideError } from '../model/errors.ts';
import { Output } from './output.ts';
import { softwareVersion } from './software.ts';
import { addOutputOptions } from './verb.ts';
const ABOUT = `Lowtide backs up many computers to one or more centers while the network is at low tide:
each computer takes its backup when it suits its user, and the center fetches it when it
suits the network. It works just as well for one computer and a disk.

Start with 'lowtide demo', which shows all of it on this machine.`;

interface Verb {
  /** Its arguments, if it is no group. These and the summary its code has too, which no list of verbs waits for. */
  readonly words?: string;
  readonly summary: string;
  /** @param next the word after the verb */
  readonly load: (next?: string) => Promise<Command>;
}

/** A verb is loaded when it is asked for: nobody waits for the code of the others. */
const verbs: readonly (readonly [heading: string, verbs: Readonly<Record<string, Verb>>])[] = [
  [
    'To see it work:',
    {
      demo: {
        words: '[FOLDER]',
        summary: 'Show all of it on this machine: backup, collection, receipt, restore',
        load: async () => (await import('./verbs/demo.ts')).demoVerb(),
      },
    },
  ],
  [
    'Many computers and a center:',
    {
      center: {
        summary: 'A center: hears offers, collects them in its hours, keeps them',
        load: async (next) => (await import('./verbs/center/center.ts')).centerGroup(next),
      },
      relay: {
        summary: 'A relay or branch: collects from computers below it, and passes on to centers above',
        load: async (next) => (await import('./verbs/relay/relay.ts')).relayGroup(next),
      },
      agent: {
        summary: 'The agent of this machine: takes its backups and sends them to centers',
        load: async (next) => (await import('./verbs/agent/agent.ts')).agentGroup(next),
      },
      job: {
        summary: 'What to back up, when to take it, when it may travel',
        load: async () => (await import('./verbs/agent/job.ts')).jobGroup(),
      },
      status: {
        words: '',
        summary: 'What is protected, what waits, why and until when',
        load: async () => (await import('./verbs/agent/status.ts')).statusVerb(),
      },
      spool: {
        summary: 'Backups that wait on this machine to be collected',
        load: async () => (await import('./verbs/agent/spool.ts')).spoolGroup(),
      },
      service: {
        summary: 'Have systemd run the agent, a center or a relay',
        load: async () => (await import('./verbs/service.ts')).serviceGroup(),
      },
      simulate: {
        words: '[SCENARIO]',
        summary: 'Try a night of a fleet that need not exist',
        load: async () => (await import('./verbs/simulate.ts')).simulateVerb(),
      },
    },
  ],
  [
    'One computer and a disk:',
    {
      init: {
        words: '<DEPOT>',
        summary: 'Make a depot: a folder that holds encrypted backups',
        load: async () => (await import('./verbs/init.ts')).initVerb(),
      },
      backup: {
        words: '[PATH...]',
        summary: 'Back up files and folders into a depot, now',
        load: async () => (await import('./verbs/backup.ts')).backupVerb(),
      },
    },
  ],
  [
    'Look, restore, check (a depot with --depot, else the agent of this machine):',
    {
      snapshots: {
        words: '',
        summary: 'List the backups that can be restored',
        load: async () => (await import('./verbs/snapshots.ts')).snapshotsVerb(),
      },
      ls: {
        words: '<SNAPSHOT> [PATH...]',
        summary: 'List the files in a snapshot',
        load: async () => (await import('./verbs/ls.ts')).lsVerb(),
      },
      find: {
        words: '<PATTERN>',
        summary: 'Find files by name, in one snapshot or in all',
        load: async () => (await import('./verbs/find.ts')).findVerb(),
      },
      diff: {
        words: '<A> <B> [PATH]',
        summary: 'Show what changed between two snapshots',
        load: async () => (await import('./verbs/diff.ts')).diffVerb(),
      },
      restore: {
        words: '<SNAPSHOT> [PATH...]',
        summary: 'Restore a snapshot, or parts of it',
        load: async () => (await import('./verbs/restore.ts')).restoreVerb(),
      },
      verify: {
        words: '',
        summary: 'Check that a depot is complete and undamaged',
        load: async () => (await import('./verbs/verify.ts')).verifyVerb(),
      },
      doctor: {
        words: '<PATH>',
        summary: 'Show what a backup of a file system keeps',
        load: async () => (await import('./verbs/doctor.ts')).doctorVerb(),
      },
      key: {
        summary: 'What opens the backups: passwords, recovery sheets, an organisation',
        load: async () => (await import('./verbs/key.ts')).keyGroup(),
      },
      debug: {
        summary: 'Look inside what Lowtide stores',
        load: async () => (await import('./verbs/debug.ts')).debugGroup(),
      },
    },
  ],
];

/** A verb of which no more is known than what a list of verbs says. */
function mentioned(name: string, { words, summary }: Verb): Command {
  const verb = new Command(name).summary(summary);
  if (words === undefined) return verb;
  addOutputOptions(verb);
  return words === '' ? verb : verb.arguments(words);
}

/** All verbs with all that they take, or one. @param next the word after it */
export async function newProgram(only?: string, next?: string): Promise<Command> {
  const program = emptyProgram();
  for (const [heading, inGroup] of verbs) {
    program.commandsGroup(heading);
    for (const [name, { load }] of Object.entries(inGroup))
      if (only === undefined || name === only) program.addCommand(await load(next));
  }
  return withManners(program);
}

/** All verbs, none of which can be run: what the program itself says of them. */
export function programInShort(): Command {
  const program = emptyProgram();
  for (const [heading, inGroup] of verbs) {
    program.commandsGroup(heading);
    for (const [name, verb] of Object.entries(inGroup)) program.addCommand(mentioned(name, verb));
  }
  return withOwnManners(program);
}

function emptyProgram(): Command {
  const program = new Command('lowtide')
    .description(ABOUT)
    .version(softwareVersion(), '-V, --version', 'the version')
    .helpOption('-h, --help', 'this text')
    .helpCommand(false)
    .optionsGroup('Options:');
  program.addHelpText(
    'after',
    `
'lowtide VERB --help' explains a verb and shows examples.
Exit codes: 0 done, 1 failed, 3 done but some files could not be read or written,
4 spooled but not collected in the time that --wait gave, 130 interrupted.`,
  );
  return program;
}

/** Every command throws instead of ending the process, and says nothing itself about wrong usage. */
function withManners(command: Command): Command {
  withOwnManners(command);
  if (command.commands.length === 0) addOutputOptions(command);
  for (const sub of command.commands) withManners(sub);
  return command;
}

function withOwnManners(command: Command): Command {
  const helpWidth = Math.min(process.stdout.columns ?? 100, 100);
  return command
    .exitOverride()
    .configureOutput({ writeErr: () => {}, outputError: () => {} })
    .configureHelp({ helpWidth, sortSubcommands: false });
}

export async function runProgram(argv: readonly string[]): Promise<void> {
  const [verb, next] = argv.slice(argv.findIndex((word) => !word.startsWith('-')));
  const isKnown = verb !== undefined && verbs.some(([, inGroup]) => Object.hasOwn(inGroup, verb));
  const program = isKnown ? await newProgram(verb, next) : programInShort();
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
