import type { Command } from 'commander';
import type { HeldClient } from '../../../node/center/held-clients.ts';
import type { Context } from '../../context.ts';
import { withCollecting } from '../../reach.ts';
import { hangingLines, timeText, WIDTH } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { type NodeOptions, type NodeRole, withNodeData } from './options.ts';

interface HoldOptions extends NodeOptions {
  readonly for?: string;
  readonly why?: string;
}

export function holdVerb(role: NodeRole): Command {
  const verb = newVerb('hold', {
    summary: 'Collect nothing from a computer for the time being, or from a relay with all below it',
    about:
      'Counts at once: what it is sending stops, loses nothing and goes on later. Its backups go on being taken and wait in ' +
      "its spool. 'client release' ends it, or its time does. Both are kept with their time and shown by 'conditions'.",
    examples: [
      [`lowtide ${role} client hold ann-laptop --for '3 d' --why 'on a train'`, 'until Thursday'],
      [`lowtide ${role} client hold osaka`, 'until it is released'],
    ],
  });
  return withNodeData(verb, role)
    .argument('<NAME>', 'name or id of the computer or relay')
    .option(
      '--for <TIME>',
      "for how long, such as '90 min', '24 h' or '7 d'; until it is released if left out",
    )
    .option('--why <TEXT>', 'a reason, for those who look at the plan')
    .action(
      action((context: Context, name: string, options: HoldOptions) => hold(context, role, name, options)),
    );
}

export function releaseVerb(role: NodeRole): Command {
  const verb = newVerb('release', {
    summary: 'Collect from a computer again that was held back',
    examples: [[`lowtide ${role} client release ann-laptop`, 'it has its turn again']],
  });
  return withNodeData(verb, role)
    .argument('<NAME>', 'name or id of the computer or relay')
    .action(
      action((context: Context, name: string, options: NodeOptions) => release(context, role, name, options)),
    );
}

async function hold(context: Context, role: NodeRole, name: string, options: HoldOptions): Promise<void> {
  const { for: span = null, why = '' } = options;
  const answer = await withCollecting(context, role, options, ({ people }) =>
    people.hold({ client: name, span, why }),
  );
  const { until } = answer.held!;
  const zone = until === null ? '' : ` The time is in ${context.world.clock.zone}.`;
  tell(
    context,
    answer,
    `Nothing is collected from ${answer.name} ${heldText(answer.held!, context)}.${zone}`,
  );
}

async function release(context: Context, role: NodeRole, name: string, options: NodeOptions): Promise<void> {
  const answer = await withCollecting(context, role, options, ({ people }) =>
    people.releaseClient({ client: name }),
  );
  const was = answer.before ? 'is collected again' : 'was not held back';
  tell(context, answer, `${answer.name} ${was}.`);
}

function tell({ output }: Context, { held, ...answer }: HeldClient, line: string): void {
  output.message({ message_type: 'held', ...answer, ...(held ?? { since: null, until: null, why: '' }) });
  for (const text of hangingLines(line, WIDTH)) output.line(text);
}

/** `until 2026-03-05 12:00 (on a train)`. */
export function heldText({ until, why }: NonNullable<HeldClient['held']>, { world }: Context): string {
  const end = until === null ? 'until it is released' : `until ${timeText(until, world.clock.zone)}`;
  return why === '' ? end : `${end} (${why})`;
}
