import type { Command } from 'commander';
import { LowtideError } from '../../../model/errors.ts';
import type { ReleasedCenter } from '../../../node/leaving.ts';
import { confirm } from '../../confirm.ts';
import type { Context } from '../../context.ts';
import { type DataOptions, withAgent, withRelay } from '../../reach.ts';
import { plural } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { withRoleData, type SenderRole } from './options.ts';

interface ReleaseOptions extends DataOptions {
  readonly yes?: boolean;
}

/** Of an agent and of a relay. */
export function releaseVerb(role: SenderRole): Command {
  const verb = newVerb('release', {
    summary: 'Take a center off what is owed, for good: when it is lost, or not wanted any more',
    about:
      `Nothing here waits for that center any more: what the others have may be freed. It is on record in the history ` +
      'of each snapshot. A snapshot that is owed to this center alone stays. Ways that lead only there are left; a ' +
      'new token may add the center again.' +
      (role === 'relay' ? ' The computers below owe it still: release it there too.' : ''),
    examples: [[`lowtide ${role} release osaka --yes`, 'osaka has burnt down; what tokyo has is enough']],
  });
  return withRoleData(verb, role)
    .argument('<CENTER>', 'name or id of the center')
    .option('--yes', 'do not ask')
    .action(
      action((context: Context, name: string, options: ReleaseOptions) =>
        release(context, role, name, options),
      ),
    );
}

async function release(
  context: Context,
  role: SenderRole,
  center: string,
  options: ReleaseOptions,
): Promise<void> {
  const { output } = context;
  if (options.yes !== true && !(await confirm(`Owe ${center} nothing any more, for good?`))) {
    throw new LowtideError('interrupted', 'nothing was released');
  }
  const done: ReleasedCenter =
    role === 'agent'
      ? await withAgent(context, options, ({ people }) => people.release({ center }))
      : await withRelay(context, options, ({ people }) => people.release({ center }));
  const { released, kept, left } = done;
  output.message({ message_type: 'released', ...done });
  output.line(`Nothing is owed to ${done.name} any more: ${plural(released, 'snapshot')} released.`);
  for (const name of left) output.line(`Left ${name}, which led nowhere else.`);
  if (kept === 0) return;
  const what =
    kept === 1
      ? '1 snapshot is owed to it alone and stays'
      : `${kept} snapshots are owed to it alone and stay`;
  const how = role === 'agent' ? ": 'lowtide spool discard' gives one up" : '';
  output.warn(`warning: ${what}${how}`);
}
