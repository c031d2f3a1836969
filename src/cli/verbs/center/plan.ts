import type { Command } from 'commander';
import { shortId } from '../../../model/ids.ts';
import type { CenterPlan, PlannedLine } from '../../../node/people-center.ts';
import { describeReason } from '../../../schedule/reasons.ts';
import type { Context } from '../../context.ts';
import { withCenter } from '../../reach.ts';
import { bytesText, plural, timeText } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { type CenterOptions, withCenterData } from './options.ts';

export function centerPlanVerb(): Command {
  const verb = newVerb('plan', {
    summary: 'Show what waits to be collected, and why',
    about: 'Each line is a backup that a computer has offered: what it waits for, and until when.',
    examples: [['lowtide center plan', 'the queue of this center']],
  });
  return withCenterData(verb).action(action(plan));
}

async function plan(context: Context, options: CenterOptions): Promise<void> {
  const { output } = context;
  const answer = await withCenter(context, options, ({ people }) => people.plan({}));
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

/** The planner speaks to the computer's owner; here the center's operator reads. */
function whyText(offer: Pick<PlannedLine, 'code' | 'until' | 'text'>, { zone, now }: CenterPlan): string {
  if (offer.code === 'base-unknown') return offer.text;
  return describeReason({ ...offer, code: offer.code }, zone, now)
    .replace("your windows and the center's", "the computer's windows and the center's")
    .replace('your window', "the computer's window");
}
