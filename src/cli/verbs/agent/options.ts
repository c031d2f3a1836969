import type { Command } from 'commander';
import { usualFolder } from '../../context.ts';

/** What sends upwards: verbs that are the same for both are written once. */
export type SenderRole = 'agent' | 'relay';

export function withAgentData(command: Command): Command {
  return withRoleData(command, 'agent');
}

export function withRoleData(command: Command, role: SenderRole | 'center'): Command {
  return command.option(
    '--data <DIR>',
    `the ${role}'s data folder; else LOWTIDE_DATA, else ${usualFolder(role)}`,
  );
}
