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
      "end still lets it in until its operator says 'client revoke'.",
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
  const { id, name, stranded } = left;
  output.message({ message_type: 'left', id, name, stranded });
  output.line(`Left ${name}: this ${role} sends nothing there any more.`);
  for (const center of stranded) {
    output.warn(
      `warning: something is owed to ${center.name}, and no way leads there: join one, or say ` +
        `'lowtide ${role} release ${center.name}'`,
    );
  }
}
