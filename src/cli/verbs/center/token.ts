import type { Command } from 'commander';
import { LowtideError } from '../../../model/errors.ts';
import type { Context } from '../../context.ts';
import { withCollecting } from '../../reach.ts';
import { parseDuration, timeText } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { type NodeOptions, type NodeRole, withNodeData } from './options.ts';

interface TokenOptions extends NodeOptions {
  readonly name?: string;
  readonly relay?: boolean;
  readonly peer?: boolean;
  readonly reads?: string;
  readonly expires?: string;
}

/** Of a center and of a relay. */
export function tokenVerb(role: NodeRole): Command {
  const verb = newVerb('token', {
    summary: 'Make a join token: it lets one computer in, once',
    about:
      `Give the token to whoever sits at the computer; it says where the ${role} is, how to know it, and which ` +
      'centers the backups will go to. Whoever has it can join in that computer’s place until it is used or ' +
      `expires, so send it as you would a password. The ${role} need not be running for this.`,
    examples: [
      [`lowtide ${role} token --name ann-laptop`, 'good for one hour, once'],
      [`lowtide ${role} token --name shop --relay`, 'lets a relay in, with the computers that join it'],
      [
        `lowtide ${role} token --name osaka --peer`,
        'lets another center read everything here, and nothing else',
      ],
      [
        `lowtide ${role} token --name ann-new --reads ann-laptop`,
        'the laptop was lost: its successor may restore what it had backed up',
      ],
      [
        `lowtide ${role} token --name ann-laptop --expires 10min --quiet`,
        'nothing but the token, for a script',
      ],
    ],
  });
  return withNodeData(verb, role)
    .option('--name <NAME>', 'what the computer will be called here; else its own name')
    .option('--relay', 'for a relay instead of an agent')
    .option('--peer', "for another center's pull: it may read everything here, and change nothing")
    .option(
      '--reads <NAME>',
      'the computer may read the backups of this one, too, which takes its recovery sheet: to restore a lost machine',
    )
    .option('--expires <TIME>', 'how long it is good for, at most a day', '1h')
    .action(action((context: Context, options: TokenOptions) => token(context, role, options)));
}

const ONE = { agent: 'one computer', relay: 'one relay', peer: 'one center' } as const;

async function token(context: Context, role: NodeRole, options: TokenOptions): Promise<void> {
  const { output, world } = context;
  const { zone } = world.clock;
  const lifetimeMs = options.expires === undefined ? null : parseDuration(options.expires);
  if (options.relay === true && options.peer === true)
    throw new LowtideError('bad-request', 'a token is for a relay or for another center: not both');
  const joining = options.relay === true ? 'relay' : options.peer === true ? 'peer' : 'agent';
  const answer = await withCollecting(context, role, options, ({ people }) =>
    people.token({
      name: options.name ?? '',
      role: joining,
      lifetimeMs,
      ...(options.reads !== undefined && { reads: options.reads }),
    }),
  );
  const { token, name, reads, expires, addresses, centers } = answer;
  output.message({ message_type: 'token', token, name, role: joining, reads, expires, addresses, centers });
  output.result(token);
  output.line('');
  const who = name === '' ? ONE[joining] : name;
  output.line(
    `Lets ${who} in, once, until ${timeText(expires, zone)} ${zone}, at ${addresses.join(' or ')}.`,
  );
  if (joining === 'peer') {
    output.line(
      `It may read everything here, and change nothing. There: 'lowtide center pull --from' and the token.`,
    );
    return;
  }
  if (role === 'relay') output.line(`What comes from it goes on to ${centers.join(' and ')}.`);
  if (reads !== null) {
    output.line(`It may read what ${reads} has backed up, which takes the recovery sheet of ${reads}.`);
    output.line(`On that computer: 'lowtide agent join --recovery-sheet FILE' and the token.`);
    return;
  }
  const join = `lowtide ${joining} join`;
  output.line(`On that computer: '${join}' and the token, or the token on stdin and '${join} -'.`);
}
