import type { Command } from 'commander';
import type { Left } from '../../../node/leaving.ts';
import type { Context } from '../../context.ts';
import { type DataOptions, withAgent, withRelay } from '../../reach.ts';
import { action, newVerb } from '../../verb.ts';
import { withRoleData, type SenderRole } from './options.ts';

/** Of an agent and of a relay. */
export function leaveVerb(role: SenderRole): Command {
  const verb = newVerb('leave', {
    summary: 'Forget a center or relay that was joined',
    about:
      `This ${role} sends nothing there any more. What is owed to the centers that it led to stays owed, and goes ` +
      `another way if there is one; 'lowtide ${role} release' says that a center is owed nothing any more. The other ` +
      'end is told: it passes on what it has, and lets this machine in again with a new token only. If it cannot be ' +
      'reached it hears of it from above.',
    examples: [[`lowtide ${role} leave osaka`, 'by name or id']],
  });
  return withRoleData(verb, role)
    .argument('<NAME>', 'name or id of what was joined')
    .action(
      action((context: Context, name: string, options: DataOptions) => leave(context, role, name, options)),
    );
}

async function leave(context: Context, role: SenderRole, node: string, options: DataOptions): Promise<void> {
  const { output } = context;
  const left: Left =
    role === 'agent'
      ? await withAgent(context, options, ({ people }) => people.leave({ node }))
      : await withRelay(context, options, ({ people }) => people.leave({ node }));
  const { id, name, untold, others, stranded } = left;
  output.message({ message_type: 'left', id, name, untold, others, stranded });
  const told = untold === '' ? ', and it knows' : '';
  output.line(`Left ${name}${told}: this ${role} sends nothing there any more.`);
  if (untold !== '') output.warn(`warning: ${untoldText(left, role)}`);
  for (const center of stranded) {
    output.warn(
      `warning: something is owed to ${center.name}, and no way leads there: join one, or say ` +
        `'lowtide ${role} release ${center.name}'`,
    );
  }
}

function untoldText({ name, untold, others }: Left, role: SenderRole): string {
  if (untold === 'not-found' || untold === 'bad-request')
    return `${name} runs an older Lowtide, which cannot be told: it goes on waiting for this ${role}`;
  const who = others.length === 0 ? `what this ${role} joins next` : others.join(' and ');
  return (
    `${name} could not be told now (${untold}) and still waits for this ${role}: ${who} will be told, ` +
    'and lets it know from above'
  );
}
