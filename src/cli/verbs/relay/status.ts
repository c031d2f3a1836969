import type { Command } from 'commander';
import { shortId } from '../../../model/ids.ts';
import type { RelayStatus } from '../../../node/relay/view.ts';
import type { UpstreamStatus } from '../../../node/upstream-view.ts';
import type { Context } from '../../context.ts';
import { withRelay } from '../../reach.ts';
import { copyLines } from '../../spool-text.ts';
import { everMeet, parseWindows } from '../../../schedule/windows.ts';
import { bytesText } from '../../../model/bytes-text.ts';
import { hangingLines, hoursText, notedTable, plural, timeText, WIDTH } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { section, upstreamLines } from '../agent/status.ts';
import { readingText } from '../center/conditions.ts';
import { type NodeOptions, withNodeData } from '../center/options.ts';

export function relayStatusVerb(): Command {
  const verb = newVerb('status', {
    summary: 'What the relay sends to, and what it holds: for whom, why and until when',
    about:
      'Whether each center or relay above can be reached, how full the store is, and for each backup in custody here ' +
      'what each center owed still waits for. What is in custody here only is not safe yet.',
    examples: [
      ['lowtide relay status', 'for people'],
      ['lowtide relay status --json', 'one message for the relay, each upstream, center and held snapshot'],
    ],
  });
  return withNodeData(verb, 'relay').action(action(status));
}

async function status(context: Context, options: NodeOptions): Promise<void> {
  const { output } = context;
  const state = await withRelay(context, options, ({ people }) => people.status({}));
  tellScripts(context, state);
  const { name, node, software, zone, running, transfer, transferZone, store, owed, readings } = state;
  output.result(`${name} (relay ${shortId(node)}), ${software}. Times are in ${zone}.`);
  if (running) output.result(`The relay is running; it may send on ${hoursText(transfer, transferZone)}.`);
  else output.result("The relay is NOT RUNNING: nothing comes or goes until 'lowtide relay run'.");
  const to = owed.map((center) => center.name).join(' and ');
  output.result(
    owed.length > 1
      ? `What comes here is kept until ${to} have it.`
      : owed.length === 1
        ? `What comes here is kept until ${to} has it.`
        : 'What comes here is owed to NO CENTER: it leads to none.',
  );
  section(
    context,
    'Sends to',
    upstreamLines(state),
    "nothing yet: 'lowtide relay join' joins a center or relay",
  );
  for (const text of neverMeeting(state)) output.result(text);
  for (const reading of readings)
    if (reading.holds)
      for (const line of hangingLines(`${reading.name}: ${readingText(reading)}`, WIDTH)) output.result(line);
  section(context, storeTitle(store), heldLines(state), 'nothing is in custody');
}

interface Hours extends Pick<RelayStatus, 'transfer' | 'transferZone' | 'now'> {
  readonly upstreams: readonly Pick<UpstreamStatus, 'name' | 'windows' | 'zone'>[];
}

/** S22: of a relay.yaml that was edited, and of a node above that has changed its hours. */
export function neverMeeting({ upstreams, transfer, transferZone, now }: Hours): string[] {
  const own = parseWindows(transfer, transferZone);
  return upstreams.flatMap(({ name, windows, zone }) => {
    if (windows === null || zone === null || everMeet(own, parseWindows(windows, zone), now)) return [];
    const text = `NOTHING can ever go to ${name}: this relay may send on ${hoursText(transfer, transferZone)}, ${name} collects ${hoursText(windows, zone)}: change 'transfer' in relay.yaml, or 'windows' there`;
    return hangingLines(text, WIDTH - 2, '  ');
  });
}

function storeTitle({ bytes, custody, coming, quota, cacheQuota }: RelayStatus['store']): string {
  const cached = Math.max(0, bytes - custody);
  return (
    `Store: ${bytesText(bytes)} of ${bytesText(quota)}; in custody ${bytesText(Math.min(bytes, custody))}, ` +
    (coming === 0 ? '' : `kept for what has begun to come ${bytesText(coming)}, `) +
    `for restores ${bytesText(cached)} of ${bytesText(cacheQuota)}`
  );
}

function heldLines(state: RelayStatus): string[] {
  const { held, zone } = state;
  if (held.length === 0) return [];
  const columns = [
    { title: 'Computer' },
    { title: 'Job' },
    { title: 'Snapshot' },
    { title: `Taken (${zone})` },
    { title: 'Size', align: 'right' },
  ] as const;
  const rows = held.map((snapshot) => {
    const { id, clientName, job, takenAt, bytes, complete } = snapshot;
    const part = complete ? '' : ' (partial)';
    const notes = copyLines(snapshot, { ...state, role: 'relay' });
    const cells = [clientName, job + part, shortId(id), timeText(takenAt, zone), bytesText(bytes)];
    return { cells, notes: notes.length > 0 ? notes : ['owed to no center'] };
  });
  return [...notedTable(columns, rows, 2), `${plural(held.length, 'snapshot')} in custody.`];
}

function tellScripts({ output }: Context, state: RelayStatus): void {
  const { upstreams, centers, held, readings, transferZone, ...relay } = state;
  output.message({ message_type: 'relay', ...relay, transfer_zone: transferZone });
  for (const upstream of upstreams) output.message({ message_type: 'upstream', ...upstream });
  for (const center of centers) output.message({ message_type: 'center', ...center });
  for (const reading of readings) output.message({ message_type: 'reading', ...reading });
  for (const { takenAt, heldSince, ...snapshot } of held) {
    output.message({ message_type: 'held', ...snapshot, taken_at: takenAt, held_since: heldSince });
  }
}
