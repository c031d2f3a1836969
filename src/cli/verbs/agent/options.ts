import type { Command } from 'commander';
import { usualFolder } from '../../context.ts';

export function withAgentData(command: Command): Command {
  return command.option(
    '--data <DIR>',
    `the agent's data folder; else LOWTIDE_DATA, else ${usualFolder('agent')}`,
  );
}
