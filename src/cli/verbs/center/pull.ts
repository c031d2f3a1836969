import type { Command } from 'commander';
import { joinCenter } from '../../../http/join.ts';
import { parseToken } from '../../../identity/token.ts';
import { type ErrorCode, errorRegistry, LowtideError } from '../../../model/errors.ts';
import { shortId } from '../../../model/ids.ts';
import { aborted } from '../../../model/stopping.ts';
import { SECOND_MS } from '../../../model/time.ts';
import type { PullState } from '../../../node/center/pulls.ts';
import { centerPaths } from '../../../node/center/home.ts';
import { type Context, dataFolder } from '../../context.ts';
import { tokenText } from '../../join-token.ts';
import { type CenterReached, withCenter } from '../../reach.ts';
import { hostName } from '../../software.ts';
import { bytesText } from '../../../model/bytes-text.ts';
import { plural, timeText } from '../../text.ts';
import { action, collect, newVerb } from '../../verb.ts';
import { type NodeOptions, withNodeData } from './options.ts';

interface PullOptions extends NodeOptions {
  readonly from?: readonly string[];
  readonly client?: readonly string[];
  readonly rate?: string;
  readonly windows?: string;
  readonly zone?: string;
  readonly letIn?: boolean;
}

const TOKEN = /^\s*lt1_/;

export function centerPullVerb(): Command {
  const verb = newVerb('pull', {
    summary: 'Fetch from another center or a relay what this center has lost or never had',
    about:
      "The other side makes a token with 'lowtide center token --peer' (or relay): with it this center may read there, and " +
      'nothing else. Once it was used, the name of the other side will do. Keyrings, computers and manifests come first, then the blocks that are not here, ' +
      'older snapshots before those that lean on them. Everything is checked by the signatures of the computers it is ' +
      "from, and this center's own receipt is given for each; computers hear of it when they next ask. A pull that was interrupted goes on where it was when it is " +
      'started again. Exit code 3: done, but some snapshots could not be had.',
    examples: [
      ['lowtide center pull --from lt1_...', 'the first time, with a token of the other center'],
      [
        'lowtide center pull --from osaka --rate "20 MB/s" --windows "22:00-06:00"',
        'again, at night, and not too fast',
      ],
      ['lowtide center pull --from osaka --let-in', 'into a center that was rebuilt with its old keys'],
    ],
  });
  return withNodeData(verb, 'center')
    .option(
      '--from <NODE>',
      "name or id of a center or relay that was joined so before, or its token, or '-' for a token on stdin (repeatable: what one cannot give the next is asked for)",
      collect,
    )
    .option(
      '--client <NAME>',
      'only what is from this computer, by its name there or its id (repeatable)',
      collect,
    )
    .option('--rate <RATE>', 'how fast, such as "20 MB/s" or "5 MB/s 08:00-18:00, unlimited"', 'unlimited')
    .option('--windows <WINDOWS>', 'when, such as "22:00-06:00"', 'any')
    .option('--zone <ZONE>', "IANA time zone of the hours; else the machine's")
    .option(
      '--let-in',
      'let the computers come in with the certificates that this center once gave them: for one rebuilt with its old keys',
    )
    .action(action(pull));
}

async function pull(context: Context, options: PullOptions): Promise<number> {
  const { world } = context;
  const { from, client: clients = [], letIn = false, rate = 'unlimited', windows = 'any' } = options;
  if (from === undefined) throw new LowtideError('bad-request', 'say with --from where to pull from');
  const zone = options.zone ?? world.clock.zone;
  const named = await joinTokens(context, from, options);
  return await withCenter(context, options, async (reached) => {
    const ask = { from: named, clients: [...clients], letIn, rate, windows, zone };
    const started = await reached.people.startPull(ask);
    return tell(context, reached, await watch(context, reached, started.pull));
  });
}

/** Names of nodes stay as they are; tokens are used up, and become the ids of theirs. */
async function joinTokens(
  context: Context,
  from: readonly string[],
  options: PullOptions,
): Promise<string[]> {
  const { world, output, stop } = context;
  const directory = centerPaths(dataFolder('center', options.data)).identity;
  const named: string[] = [];
  for (const given of from) {
    if (given !== '-' && !TOKEN.test(given)) {
      named.push(given);
      continue;
    }
    const token = parseToken(given === '-' ? await tokenText(given) : given);
    const { center, identity } = await joinCenter(world, directory, token, {
      host: hostName(),
      peer: true,
      stop,
    });
    const { id, kind, name } = center.face;
    output.message({ message_type: 'joined', center: id, center_name: name, client: identity.client });
    output.line(`May read at the ${kind} ${name} as ${center.name}: from now on '--from ${name}' will do.`);
    named.push(id);
  }
  return named;
}

/** Until it has ended. Ctrl-C stops it: what has come stays. */
async function watch(
  { world, stop, output }: Context,
  { people }: CenterReached,
  pull: string,
): Promise<PullState> {
  let told = '';
  for (;;) {
    const state = await people.pull({ pull });
    if (output.interactive) process.stderr.write(`\r${lineOf(state, world.clock.zone)}\u001B[K`);
    const text = JSON.stringify(state.progress);
    if (text !== told) output.message({ message_type: 'status', ...state.progress });
    told = text;
    if (state.state !== 'running') {
      if (output.interactive) process.stderr.write('\r\u001B[K');
      return state;
    }
    if (stop.aborted) await people.stopPull({ pull });
    await Promise.race([world.clock.sleep(SECOND_MS / 2), aborted(stop)]);
    // One that was told to stop ends after what it is doing now.
    if (stop.aborted) await world.clock.sleep(SECOND_MS / 10);
  }
}

function lineOf({ progress }: PullState, zone: string): string {
  const { phase, until, clients, snapshots, pulled, failed, bytes } = progress;
  if (phase === 'records') return `pulling: ${plural(clients, 'computer')} so far`;
  if (phase === 'closed' && until !== null) return `pulling: not before ${timeText(until, zone)} ${zone}`;
  const bad = failed === 0 ? '' : `, ${failed} could not be had`;
  return `pulling: ${plural(pulled, 'snapshot')} of ${snapshots} so far${bad}, ${bytesText(bytes)}`;
}

function tell({ output }: Context, { running }: CenterReached, state: PullState): number {
  const { progress, problems } = state;
  for (const problem of problems) output.message({ message_type: 'pull_problem', ...problem });
  output.message({ message_type: 'summary', state: state.state, ...progress });
  const { clients, keyrings, snapshots, pulled, failed, refused, blocks, bytes } = progress;
  output.line(
    `${plural(clients, 'computer')}, ${plural(keyrings, 'new keyring')}; ${plural(snapshots, 'snapshot')} missing here: ` +
      `${pulled} pulled, ${plural(blocks, 'block')}, ${bytesText(bytes)}.`,
  );
  // Where this very process pulls, each was said when it happened.
  if (running) {
    for (const { snapshot, client, message, code } of problems)
      output.warn(`${shortId(snapshot ?? client ?? '')}: ${message} (${code})`);
  }
  if (refused > 0)
    output.warn(`${plural(refused, 'block')} came that were not what they should be, and were refused.`);
  if (state.state === 'failed') throw new LowtideError(codeOf(state.code), state.message);
  if (state.state === 'stopped') {
    throw new LowtideError('interrupted', 'the pull was stopped: started again it goes on from here');
  }
  return failed > 0 || problems.length > 0 ? 3 : 0;
}

const codeOf = (code: string): ErrorCode =>
  Object.hasOwn(errorRegistry, code) ? (code as ErrorCode) : 'crashed';
