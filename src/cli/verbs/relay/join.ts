import type { Command } from 'commander';
import { joinCenter } from '../../../http/join.ts';
import { loadAuthority } from '../../../identity/authority.ts';
import { type JoinToken, parseToken } from '../../../identity/token.ts';
import { membersToTell } from '../../../ledger/members.ts';
import { Ledger } from '../../../ledger/ledger.ts';
import { LowtideError } from '../../../model/errors.ts';
import { lastLeft } from '../../../node/word-of-leaving.ts';
import { relayPaths } from '../../../node/relay/home.ts';
import { type Context, dataFolder } from '../../context.ts';
import { reloadRunning, tellJoined, tokenText } from '../../join-token.ts';
import { action, newVerb } from '../../verb.ts';
import { dataSuffix, type NodeOptions, withNodeData } from '../center/options.ts';

export function relayJoinVerb(): Command {
  const verb = newVerb('join', {
    summary: 'Join a center, or another relay, with a token: what comes from below goes on there',
    about:
      "The token comes from 'token --relay' of the center or relay above; it names the centers that way leads to, with " +
      'the keys of their receipts. Join once for each way up: with more than one center this relay is a branch. ' +
      'A second token of the same node may add centers and never removes one.',
    examples: [
      ['lowtide relay join lt1_...', 'with the token as it was given'],
      ['lowtide relay join - < token.txt', 'from stdin, so that nobody sees it in the list of processes'],
    ],
  });
  return withNodeData(verb, 'relay')
    .argument('[TOKEN]', "the token, or '-' for stdin; asked for without")
    .action(action(join));
}

async function join(context: Context, given: string | undefined, options: NodeOptions): Promise<void> {
  const { world, output, stop } = context;
  const data = dataFolder('relay', options.data);
  const { identity: directory, ledger, socket } = relayPaths(data);
  const { face } = await loadAuthority(world, directory, 'relay');
  const token = parseToken(await tokenText(given));
  await mustBeAbove(context, ledger, token);
  const { identity, center } = await joinCenter(world, directory, token, {
    host: face.name,
    node: face.id,
    lastLeft: (client, above) => lastLeft(world, ledger, client, above),
    stop,
  });
  const running = await reloadRunning(context, socket);
  tellJoined(context, center, { client: identity.client, data });
  if (running) return;
  output.line('Next, start it:');
  output.line('  lowtide relay run' + dataSuffix(options));
}

/** The other end may not know yet that it is below this relay. */
async function mustBeAbove({ world }: Context, path: string, token: JoinToken): Promise<void> {
  const ledger = await Ledger.openReadOnly(world, path);
  try {
    const below = (await membersToTell(ledger.db)).find(({ node }) => node === token.center);
    if (below === undefined) return;
    throw new LowtideError(
      'joined-in-circle',
      `${below.name} is below this relay: what it is sent would come back here`,
    );
  } finally {
    await ledger.close();
  }
}
