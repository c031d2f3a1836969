import { writeFile } from 'node:fs/promises';
import { wrapLines } from '../../../model/text-lines.ts';
import type { Command } from 'commander';
import { LowtideError, messageOf } from '../../../model/errors.ts';
import { shortId } from '../../../model/ids.ts';
import type { CenterPlan, PlannedLine } from '../../../node/center/people.ts';
import { describeReason } from '../../../schedule/reasons.ts';
import type { Context } from '../../context.ts';
import { withCollecting } from '../../reach.ts';
import { drawPlan } from '../../plan-picture.ts';
import { barText, errorsText, expectedText, nightTexts, operatorsText, scaleText } from '../../plan-text.ts';
import { bytesText } from '../../../model/bytes-text.ts';
import { asIs, hoursText, plural, timeText, WIDTH } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { type NodeOptions, type NodeRole, withNodeData } from './options.ts';

const BARS_MOST = 60;

/** Of a center and of a relay. */
export function planVerb(role: NodeRole): Command {
  const verb = newVerb('plan', {
    summary: 'Show what waits to be collected, and why',
    about:
      'Each line is a backup that a computer, or a relay for it, has offered: what it waits for, until when, and when it is expected to be collected. ' +
      'The night is foreseen by the planner itself, from sizes, windows, rates and what is known of each computer.',
    examples: [
      [`lowtide ${role} plan`, `the queue of this ${role}, and tonight before it happens`],
      [`lowtide ${role} plan --night 2026-03-02 --svg night.svg`, 'another night, with a picture'],
    ],
  });
  return withNodeData(verb, role)
    .option('--night <DATE>', 'until the end of the night that begins on this day (YYYY-MM-DD)')
    .option('--svg <FILE>', 'write a picture: who is expected to send when')
    .action(action((context: Context, options: PlanOptions) => plan(context, role, options)));
}

interface PlanOptions extends NodeOptions {
  readonly night?: string;
  readonly svg?: string;
}

async function plan(context: Context, role: NodeRole, options: PlanOptions): Promise<void> {
  const { output } = context;
  const ask = { night: options.night ?? null };
  const answer = await withCollecting(context, role, options, ({ people }) => people.plan(ask));
  const { offers, forecast, errors, ...conditions } = answer;
  output.message({ message_type: 'conditions', ...conditions });
  const { name, windows, zone, streams, running } = answer;
  output.line(
    `${name} collects ${hoursText(windows, zone)}, ${streams} at a time${running ? '' : '; it is not running now'}.`,
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
      {
        title: 'May travel',
        text: ({ transfer, transferZone }) => hoursText(transfer, transferZone),
        below: (cell) => `may travel ${cell}`,
      },
      { title: 'Now', text: (offer) => whyText(offer, answer), below: asIs },
      {
        title: `Expected (${zone})`,
        text: ({ expected, code }) => expectedText(expected, answer, code),
        below: (cell) => (cell === '' ? '' : `expected: ${cell}`),
      },
    ],
    'Nothing waits.',
  );
  if (offers.length > 0) output.line(`${plural(offers.length, 'snapshot')} to collect.`);
  showNight(context, answer, forecast);
  if (errors !== null) {
    output.message({ message_type: 'forecast_errors', ...errors });
    for (const text of wrapLines(errorsText(errors), WIDTH)) output.line(text);
  }
  if (options.svg !== undefined) await drawNight(context, answer, options.svg);
}

/** Tonight, as bars from now to the end of the night. */
function showNight({ output }: Context, answer: CenterPlan, forecast: CenterPlan['forecast']): void {
  const { offers, now, zone } = answer;
  if (offers.length === 0) return;
  if (forecast !== null) output.message({ message_type: 'forecast', ...forecast });
  if (forecast === null) return output.line('More waits than can be foreseen in passing.');
  const bars = offers.filter(({ expected }) => (expected?.start ?? null) !== null);
  bars.sort((a, b) => a.expected!.start!.likely - b.expected!.start!.likely);
  const { nightEnd } = forecast;
  if (bars.length > 0) {
    output.line(`\nFrom ${timeText(now, zone)} to ${timeText(nightEnd, zone)} (${zone}):`);
    output.line(scaleText(now, nightEnd, zone));
  }
  for (const { clientName, job, expected } of bars.slice(0, BARS_MOST)) {
    output.line(`${barText(expected, now, nightEnd)} ${clientName} ${job}`);
  }
  if (bars.length > BARS_MOST) output.line(`and ${bars.length - BARS_MOST} more`);
  output.line('');
  for (const text of nightTexts(forecast, answer)) {
    for (const line of wrapLines(text, WIDTH)) output.line(line);
  }
}

async function drawNight({ output }: Context, answer: CenterPlan, path: string): Promise<void> {
  const picture = drawPlan(answer);
  if (picture === null) return;
  try {
    await writeFile(path, picture);
  } catch (error) {
    throw new LowtideError('bad-request', `the picture cannot be written: ${messageOf(error)}`);
  }
  output.line(`\nThe picture is in ${path}.`);
}

function whyText(
  offer: Pick<PlannedLine, 'code' | 'until' | 'text'>,
  { zone, now, kind }: CenterPlan,
): string {
  if (offer.code === 'base-unknown') return offer.text;
  return operatorsText(describeReason({ ...offer, code: offer.code }, zone, now), kind);
}
