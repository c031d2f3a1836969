import type { Command } from 'commander';
import { type CommonOptions, usualFolder } from '../../context.ts';

export interface CenterOptions extends CommonOptions {
  readonly data?: string;
}

export function withCenterData(command: Command): Command {
  return command.option(
    '--data <DIR>',
    `the center's data folder; else LOWTIDE_DATA, else ${usualFolder('center')}`,
  );
}
