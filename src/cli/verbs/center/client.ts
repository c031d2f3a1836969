import type { Command } from 'commander';
import type { Context } from '../../context.ts';
import { withCenter } from '../../reach.ts';
import { countText, timeText } from '../../text.ts';
import { action, newGroup, newVerb } from '../../verb.ts';
import { type CenterOptions, withCenterData } from './options.ts';

export function centerClientGroup(): Command {
  return newGroup(
    'client',
    'The computers that may send to this center',
    [listVerb(), revokeVerb()],
    'center client',
  );
}

function listVerb(): Command {
  const verb = newVerb('list', {
    summary: 'List the computers that joined',
    examples: [['lowtide center client list', 'names, addresses, when each was seen last']],
  });
  return withCenterData(verb).action(action(list));
}

function revokeVerb(): Command {
  const verb = newVerb('revoke', {
    summary: 'Shut a computer out',
    about:
      'It is let in no more, and cut off within half a minute if it is connected. What it has sent stays and can be ' +
      'restored with its recovery sheet.',
    examples: [['lowtide center client revoke ann-laptop', 'the laptop was stolen']],
  });
  return withCenterData(verb).argument('<NAME>', 'name or id of the computer').action(action(revoke));
}

async function list(context: Context, options: CenterOptions): Promise<void> {
  const { output, world } = context;
  const { zone } = world.clock;
  const { clients } = await withCenter(context, options, ({ people }) => people.clients({}));
  const rows = clients.map(({ enrolledAt, seenAt, revokedAt, ...client }) => ({
    ...client,
    enrolled_at: enrolledAt,
    seen_at: seenAt,
    revoked_at: revokedAt,
  }));
  const time = (at: number | null): string => (at === null ? 'never' : timeText(at, zone));
  output.table(
    'client',
    rows,
    [
      { title: 'Computer', text: ({ name }) => name },
      { title: 'Address', text: ({ address }) => address ?? '-' },
      { title: `Joined (${zone})`, text: ({ enrolled_at }) => time(enrolled_at) },
      { title: `Seen (${zone})`, text: ({ seen_at }) => time(seen_at) },
      { title: 'Snapshots', align: 'right', text: ({ snapshots }) => countText(snapshots) },
      { title: 'Standing', text: ({ revoked_at }) => (revoked_at === null ? 'let in' : 'shut out') },
      { title: 'Id', text: ({ id }) => id.slice(0, 12) },
    ],
    "No computer has joined yet: 'lowtide center token' lets one in.",
  );
}

async function revoke(context: Context, name: string, options: CenterOptions): Promise<void> {
  const { output } = context;
  const shutOut = await withCenter(context, options, ({ people }) => people.revoke({ client: name }));
  output.message({ message_type: 'revoked', ...shutOut });
  output.line(`${shutOut.name} is shut out. What it has sent stays.`);
}
