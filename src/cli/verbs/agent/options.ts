import type { Command } from 'commander';

export function withAgentData(command: Command): Command {
  return command.option('--data <DIR>', "the agent's data folder; else LOWTIDE_DATA or the usual place");
}
