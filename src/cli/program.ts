import { Command, CommanderError } from 'commander';
import { LowtideError } from '../model/errors.ts';
import { Output } from './output.ts';
import { softwareVersion } from './software.ts';
import { addOutputOptions, newGroup } from './verb.ts';
import { agentJoinVerb } from './verbs/agent/join.ts';
import { jobGroup } from './verbs/agent/job.ts';
import { agentRunVerb } from './verbs/agent/run.ts';
import { spoolGroup } from './verbs/agent/spool.ts';
import { statusVerb } from './verbs/agent/status.ts';
import { backupVerb } from './verbs/backup.ts';
import { centerClientGroup } from './verbs/center/client.ts';
import { centerInitVerb } from './verbs/center/init.ts';
import { centerPlanVerb } from './verbs/center/plan.ts';
import { centerRunVerb } from './verbs/center/run.ts';
import { centerLedgerVerb, centerSnapshotsVerb } from './verbs/center/snapshots.ts';
import { centerTokenVerb } from './verbs/center/token.ts';
import { debugGroup } from './verbs/debug.ts';
import { demoVerb } from './verbs/demo.ts';
import { diffVerb } from './verbs/diff.ts';
import { findVerb } from './verbs/find.ts';
import { initVerb } from './verbs/init.ts';
import { keyGroup } from './verbs/key.ts';
import { lsVerb } from './verbs/ls.ts';
import { restoreVerb } from './verbs/restore.ts';
import { snapshotsVerb } from './verbs/snapshots.ts';
import { verifyVerb } from './verbs/verify.ts';

const ABOUT = `Lowtide backs up many computers to one or more centers while the network is at low tide:
each computer takes its backup when it suits its user, and the center fetches it when it
suits the network. It works just as well for one computer and a disk.

Start with 'lowtide demo', which shows all of it on this machine.`;

const centerGroup = (): Command =>
  newGroup('center', 'A center: hears offers, collects them in its hours, keeps them', [
    centerInitVerb(),
    centerRunVerb(),
    centerTokenVerb(),
    centerClientGroup(),
    centerPlanVerb(),
    centerSnapshotsVerb(),
    centerLedgerVerb(),
  ]);

const agentGroup = (): Command =>
  newGroup('agent', 'The agent of this machine: takes its backups and sends them to centers', [
    agentJoinVerb(),
    agentRunVerb(),
  ]);

const groups: readonly (readonly [heading: string, verbs: () => Command[]])[] = [
  ['To see it work:', () => [demoVerb()]],
  [
    'Many computers and a center:',
    () => [centerGroup(), agentGroup(), jobGroup(), statusVerb(), spoolGroup()],
  ],
  ['One computer and a disk:', () => [initVerb(), backupVerb()]],
  [
    'Look, restore, check (a depot with --depot, else the agent of this machine):',
    () => [
      snapshotsVerb(),
      lsVerb(),
      findVerb(),
      diffVerb(),
      restoreVerb(),
      verifyVerb(),
      keyGroup(),
      debugGroup(),
    ],
  ],
];

export function newProgram(): Command {
  const program = new Command('lowtide')
    .description(ABOUT)
    .version(softwareVersion(), '-V, --version', 'the version')
    .helpOption('-h, --help', 'this text')
    .helpCommand(false)
    .optionsGroup('Options:');
  for (const [heading, verbs] of groups) {
    program.commandsGroup(heading);
    for (const verb of verbs()) program.addCommand(verb);
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
  const program = newProgram();
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

function usageError(error: CommanderError): LowtideError {
  const message = error.message
    .replace(/^error: /, '')
    .replace(/\.?\s*\n/, ' ')
    .replace(/\.$/, '');
  return new LowtideError('unknown-option', message);
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
