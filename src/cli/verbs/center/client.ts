import type { Command } from 'commander';
import { parseSize } from '../../../node/settings/agent-settings.ts';
import { LowtideError } from '../../../model/errors.ts';
import type { ClientLine } from '../../../node/center/view.ts';
import type { Standing } from '../../../node/center/standing.ts';
import type { Context } from '../../context.ts';
import { withCollecting } from '../../reach.ts';
import { bytesText } from '../../../model/bytes-text.ts';
import { countText, plural, timeText } from '../../text.ts';
import { action, newGroup, newVerb } from '../../verb.ts';
import { heldText, holdVerb, releaseVerb } from './hold.ts';
import { type NodeOptions, type NodeRole, withNodeData } from './options.ts';

/** Of a center and of a relay. */
export function clientGroup(role: NodeRole): Command {
  return newGroup(
    'client',
    `The computers whose backups come to this ${role}`,
    [listVerb(role), holdVerb(role), releaseVerb(role), quotaVerb(role), revokeVerb(role), letInVerb(role)],
    `${role} client`,
  );
}

function listVerb(role: NodeRole): Command {
  const verb = newVerb('list', {
    summary: 'List the computers and relays that joined, and those that joined the relays',
    examples: [
      [`lowtide ${role} client list`, 'names, the relay that each comes through, when each was seen last'],
    ],
  });
  return withNodeData(verb, role).action(
    action((context: Context, options: NodeOptions) => list(context, role, options)),
  );
}

interface QuotaOptions extends NodeOptions {
  readonly machines?: string;
}

function quotaVerb(role: NodeRole): Command {
  const verb = newVerb('quota', {
    summary: 'Bound what a computer, or a relay with all below it, may bring',
    about:
      `Counts what has come to this ${role} and what is on offer` +
      (role === 'relay' ? ', as long as it is kept here' : '') +
      '. More is refused (quota-full) and stays where it is until the quota is raised. Of machines below it a relay ' +
      'may tell of 10,000 unless this says otherwise (members-full).',
    examples: [
      [`lowtide ${role} client quota osaka '500 GiB'`, 'the relay of a shop, with its computers'],
      [`lowtide ${role} client quota osaka none`, 'no bound again'],
      [`lowtide ${role} client quota osaka --machines 50`, 'no more than 50 computers come through it'],
    ],
  });
  return withNodeData(verb, role)
    .argument('<NAME>', 'name or id of the computer or relay')
    .argument('[SIZE]', "such as '20 GiB' or 1.5T; 'none' for no bound; without one it stays as it is")
    .option('--machines <COUNT>', "how many computers may come through a relay; 'default' for 10,000")
    .action(
      action((context: Context, name: string, size: string | undefined, options: QuotaOptions) =>
        setQuota(context, role, { name, size }, options),
      ),
    );
}

function revokeVerb(role: NodeRole): Command {
  const verb = newVerb('revoke', {
    summary: 'Shut a computer out',
    about:
      'It is let in no more, and cut off within half a minute if it is connected; what a relay offers of it is ' +
      'refused. With a relay, what comes only through that is shut out. What was sent stays and can be restored ' +
      "with the recovery sheet of its computer. 'client let-in' takes it back.",
    examples: [[`lowtide ${role} client revoke ann-laptop`, 'the laptop was stolen']],
  });
  return withNodeData(verb, role)
    .argument('<NAME>', 'name or id of the computer')
    .action(
      action((context: Context, name: string, options: NodeOptions) => revoke(context, role, name, options)),
    );
}

function letInVerb(role: NodeRole): Command {
  const verb = newVerb('let-in', {
    summary: 'Let a computer in again that was shut out',
    about: 'It comes back by itself. If its certificate has run out meanwhile it needs a new token.',
    examples: [[`lowtide ${role} client let-in ann-laptop`, 'the laptop was found']],
  });
  return withNodeData(verb, role)
    .argument('<NAME>', 'name or id of the computer or relay')
    .action(
      action((context: Context, name: string, options: NodeOptions) => letIn(context, role, name, options)),
    );
}

async function list(context: Context, role: NodeRole, options: NodeOptions): Promise<void> {
  const { output, world } = context;
  const { zone } = world.clock;
  const { clients } = await withCollecting(context, role, options, ({ people }) => people.clients({}));
  const rows = clients.map(({ enrolledAt, seenAt, revokedAt, ...client }) => ({
    ...client,
    enrolled_at: enrolledAt,
    seen_at: seenAt,
    revoked_at: revokedAt,
  }));
  const out = new Set(clients.filter(({ revokedAt }) => revokedAt !== null).map(({ name }) => name));
  const time = (at: number | null): string => (at === null ? 'never' : timeText(at, zone));
  output.table(
    'client',
    rows,
    [
      { title: 'Computer', text: ({ name, role }) => (role === 'relay' ? `${name} (relay)` : name) },
      { title: 'Via', text: viaText },
      { title: 'Address', text: ({ address }) => address ?? '-' },
      {
        title: `Joined (${zone})`,
        text: ({ enrolled_at }) => time(enrolled_at),
        below: (cell) => `joined ${cell}`,
      },
      {
        title: `Seen (${zone})`,
        text: ({ seen_at, direct, connected }) => (connected ? 'connected' : direct ? time(seen_at) : '-'),
      },
      { title: 'Snapshots', align: 'right', text: ({ snapshots }) => countText(snapshots) },
      { title: 'Standing', text: (row) => standingText(row, out, context) },
      { title: 'Id', text: ({ id }) => id.slice(0, 12), below: (cell) => `id ${cell}` },
    ],
    `No computer has joined yet: 'lowtide ${role} token' lets one in.`,
  );
}

/** One that comes through relays only is shut out with all of them. */
function standingText(
  {
    revoked_at,
    direct,
    via,
    held,
    left,
    reads,
  }: Pick<ClientLine, 'via' | 'direct' | 'held' | 'left' | 'reads'> & { readonly revoked_at: number | null },
  out: ReadonlySet<string>,
  context: Context,
): string {
  if (revoked_at !== null) return 'shut out';
  if (left !== null)
    return `left ${timeText(left.at, context.world.clock.zone)}${left.relay === null ? '' : ` with ${left.relay}`}`;
  const cutOff = !direct && via.length > 0 && via.every((name) => out.has(name));
  if (cutOff) return `shut out with ${via.join(' and ')}`;
  if (held !== null) return `held back ${heldText(held, context)}`;
  return reads.length === 0 ? 'let in' : `let in, reads ${reads.join(' and ')}`;
}

const viaText = ({ via, direct }: Pick<ClientLine, 'via' | 'direct'>): string =>
  via.length === 0 ? '-' : [...(direct ? ['itself'] : []), ...via].join(', ');

async function setQuota(
  context: Context,
  role: NodeRole,
  { name, size }: { readonly name: string; readonly size: string | undefined },
  options: QuotaOptions,
): Promise<void> {
  const { output } = context;
  const ask = {
    client: name,
    ...(size !== undefined && { quota: size === 'none' ? null : parseSize(size) }),
    ...(options.machines !== undefined && { machines: parseMachines(options.machines) }),
  };
  const answer = await withCollecting(context, role, options, ({ people }) => people.setQuota(ask));
  output.message({ message_type: 'quota', ...answer });
  const { quota, brought, machines } = answer;
  const bound = quota === null ? 'may bring as much as it likes' : `may bring ${bytesText(quota)}`;
  output.line(`${answer.name} ${bound}; it has ${bytesText(brought)} here or on offer.`);
  if (machines === null) return;
  const { most, told } = machines;
  output.line(`${plural(most, 'machine')} may come through it; it has told of ${countText(told)}.`);
}

/** Null for the default. @throws LowtideError `bad-request` */
function parseMachines(text: string): number | null {
  if (text === 'default') return null;
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new LowtideError('bad-request', `${JSON.stringify(text)} is not a number of machines`);
}

async function revoke(context: Context, role: NodeRole, name: string, options: NodeOptions): Promise<void> {
  const { output } = context;
  const answer = await withCollecting(context, role, options, ({ people }) =>
    people.revoke({ client: name }),
  );
  output.message({ message_type: 'revoked', ...standingJson(answer) });
  output.line(`${answer.name} is shut out${belowText(answer)}. What was sent stays.`);
}

async function letIn(context: Context, role: NodeRole, name: string, options: NodeOptions): Promise<void> {
  const { output } = context;
  const answer = await withCollecting(context, role, options, ({ people }) => people.letIn({ client: name }));
  output.message({ message_type: 'let_in', ...standingJson(answer) });
  const was = answer.before ? `is let in again${belowText(answer)}` : 'was not shut out';
  output.line(`${answer.name} ${was}.`);
}

const standingJson = ({ client, name, before, below }: Standing) => ({ client, name, before, below });

const belowText = ({ below }: Standing): string =>
  below.length === 0 ? '' : `, and with it what comes only through it: ${below.join(', ')}`;
