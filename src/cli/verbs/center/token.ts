import type { Command } from 'commander';
import type { Context } from '../../context.ts';
import { withCenter } from '../../reach.ts';
import { parseDuration, timeText } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { type CenterOptions, withCenterData } from './options.ts';

interface TokenOptions extends CenterOptions {
  readonly name?: string;
  readonly expires?: string;
}

export function centerTokenVerb(): Command {
  const verb = newVerb('token', {
    summary: 'Make a join token: it lets one computer in, once',
    about:
      'Give the token to whoever sits at the computer; it says where the center is and how to know it. Whoever ' +
      'has it can join in that computer’s place until it is used or expires, so send it as you would a ' +
      'password. The center need not be running for this.',
    examples: [
      ['lowtide center token --name ann-laptop', 'good for one hour, once'],
      [
        'lowtide center token --name ann-laptop --expires 10min --quiet',
        'nothing but the token, for a script',
      ],
    ],
  });
  return withCenterData(verb)
    .option('--name <NAME>', 'what the computer will be called here; else its own name')
    .option('--expires <TIME>', 'how long it is good for, at most a day', '1h')
    .action(action(token));
}

async function token(context: Context, options: TokenOptions): Promise<void> {
  const { output, world } = context;
  const { zone } = world.clock;
  const lifetimeMs = options.expires === undefined ? null : parseDuration(options.expires);
  const answer = await withCenter(context, options, ({ people }) =>
    people.token({ name: options.name ?? '', lifetimeMs }),
  );
  const { token, name, expires, addresses } = answer;
  output.message({ message_type: 'token', token, name, expires, addresses });
  output.result(token);
  output.line('');
  const who = name === '' ? 'one computer' : name;
  output.line(
    `Lets ${who} in, once, until ${timeText(expires, zone)} ${zone}, at ${addresses.join(' or ')}.`,
  );
  output.line(
    "On that computer: 'lowtide agent join' and the token, or the token on stdin and 'lowtide agent join -'.",
  );
}
