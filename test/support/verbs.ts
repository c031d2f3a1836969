import type { Command } from 'commander';

/** The verbs below a command, groups left out. */
export function leavesOf(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
}

/** What is typed after `lowtide`. */
export function pathOf(command: Command): string {
  const above = command.parent === null || command.parent.parent === null ? '' : `${pathOf(command.parent)} `;
  return above + command.name();
}
