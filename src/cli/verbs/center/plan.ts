import type { Command } from 'commander';
import { shortId } from '../../../model/ids.ts';
import type { CenterPlan, PlannedLine } from '../../../node/people-center.ts';
import { describeReason } from '../../../schedule/reasons.ts';
import type { Context } from '../../context.ts';
import { withCollecting } from '../../reach.ts';
import { bytesText, plural, timeText } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { type NodeOptions, type NodeRole, withNodeData } from './options.ts';

/** Of a center and of a relay. */
export function planVerb(role: NodeRole): Command {
  const verb = newVerb('plan', {
    summary: 'Show what waits to be collected, and why',
    about:
      'Each line is a backup that a computer, or a relay for it, has offered: what it waits for, and until when.',
    examples: [[`lowtide ${role} plan`, `the queue of this ${role}`]],
  });
  return withNodeData(verb, role).action(
    action((context: Context, options: NodeOptions) => plan(context, role, options)),
  );
}

async function plan(context: Context, role: NodeRole, options: NodeOptions): Promise<void> {
  const { output } = context;
  const answer = await withCollecting(context, role, options, ({ people }) => people.plan({}));
  const { offers, ...conditions } = answer;
  output.message({ message_type: 'conditions', ...conditions });
  const { name, windows, zone, streams, running } = answer;
  output.line(
    `${name} collects ${windows} (${zone}), ${streams} at a time${running ? '' : '; it is not running now'}.`,
  );
  if (offers.length > 0) output.line('');
  output.table(
    'waiting',
    offers.map(({ takenAt, offeredAt, ...offer }) => ({
      ...offer,
      taken_at: takenAt,
      offered_at: offeredAt,
    })),
    [
      { title: 'Computer', text: ({ clientName }) => clientName },
      ...(offers.some(({ via }) => via !== null)
        ? [{ title: 'Via', text: ({ via }: Pick<PlannedLine, 'via'>) => via ?? '-' }]
        : []),
      { title: 'Job', text: ({ job }) => job },
      { title: 'Snapshot', text: ({ snapshot }) => shortId(snapshot) },
      { title: `Taken (${zone})`, text: ({ taken_at }) => timeText(taken_at, zone) },
      {
        title: 'To come',
        align: 'right',
        text: ({ bytes, received }) => bytesText(Math.max(0, bytes - received)),
      },
      { title: 'May travel', text: ({ transfer, transferZone }) => `${transfer} (${transferZone})` },
      { title: 'Now', text: (offer) => whyText(offer, answer) },
    ],
    'Nothing waits.',
  );
  if (offers.length > 0) output.line(`${plural(offers.length, 'snapshot')} to collect.`);
}

/** The planner speaks to the computer's owner; here the node's operator reads. */
function whyText(
  offer: Pick<PlannedLine, 'code' | 'until' | 'text'>,
  { zone, now, kind }: CenterPlan,
): string {
  if (offer.code === 'base-unknown') return offer.text;
  return describeReason({ ...offer, code: offer.code }, zone, now)
    .replace("your windows and the center's", `the computer's windows and the ${kind}'s`)
    .replace('your window', "the computer's window");
}
