import type { Command } from 'commander';
import { LowtideError } from '../../../model/errors.ts';
import { shortId } from '../../../model/ids.ts';
import type { AgentStatus, SpooledSnapshot } from '../../../node/agent/view.ts';
import { confirm } from '../../confirm.ts';
import type { Context } from '../../context.ts';
import { type DataOptions, withAgent } from '../../reach.ts';
import { spoolLines } from '../../spool-text.ts';
import { bytesText } from '../../../model/bytes-text.ts';
import { plural } from '../../text.ts';
import { action, newGroup, newVerb } from '../../verb.ts';
import { withAgentData } from './options.ts';

export function spoolGroup(): Command {
  return newGroup('spool', 'Backups that wait on this machine to be collected', [listVerb(), discardVerb()]);
}

function listVerb(): Command {
  const verb = newVerb('list', {
    summary: 'List what waits in the spool, why and until when',
    examples: [['lowtide spool list', 'oldest first']],
  });
  return withAgentData(verb).action(action(list));
}

async function list(context: Context, options: DataOptions): Promise<void> {
  const { output } = context;
  const status = await withAgent(context, options, ({ people }) => people.status({}));
  for (const { takenAt, ...snapshot } of status.spool.snapshots) {
    output.message({ message_type: 'spooled', ...snapshot, taken_at: takenAt });
  }
  for (const line of spoolLines(status)) output.result(line);
  const { bytes, quota, snapshots } = status.spool;
  output.line(`${plural(snapshots.length, 'snapshot')}, ${bytesText(bytes)} of ${bytesText(quota)}.`);
}

interface DiscardOptions extends DataOptions {
  readonly yes?: boolean;
}

function discardVerb(): Command {
  const verb = newVerb('discard', {
    summary: 'Give up a backup that was not collected yet, to free the spool',
    about:
      'The snapshot is gone for good where no center has it, and with it the later ones of its job in the spool, ' +
      'which build on it. The next backup of the job takes everything again. Nothing else ever drops an ' +
      'uncollected backup.',
    examples: [['lowtide spool discard 3f2a91', 'asks first; --yes does not']],
  });
  return withAgentData(verb)
    .argument('<SNAPSHOT>', 'the first digits of an id')
    .option('--yes', 'do not ask')
    .action(action(discard));
}

async function discard(context: Context, text: string, options: DiscardOptions): Promise<void> {
  const { output } = context;
  await withAgent(context, options, async ({ people }) => {
    const doomed = doomedBy(await people.status({}), text);
    const what = doomed.map(({ id, job }) => `${shortId(id)} of ${job}`).join(', ');
    if (options.yes !== true && !(await confirm(`Give up ${what} for good?`))) {
      throw new LowtideError('interrupted', 'nothing was discarded');
    }
    const { discarded } = await people.discard({ snapshot: doomed[0]!.id });
    output.message({ message_type: 'discarded', snapshots: discarded });
    output.line(`Discarded ${plural(discarded.length, 'snapshot')}: ${discarded.map(shortId).join(', ')}.`);
  });
}

/** The snapshot that was named and the later ones of its job. */
function doomedBy({ spool }: AgentStatus, text: string): readonly SpooledSnapshot[] {
  const matches = text === '' ? [] : spool.snapshots.filter(({ id }) => id.startsWith(text.toLowerCase()));
  const [first] = matches;
  if (first === undefined) {
    throw new LowtideError(
      'no-such-snapshot',
      `there is no snapshot ${text} in the spool: 'lowtide spool list' shows it`,
    );
  }
  if (matches.length > 1) {
    throw new LowtideError(
      'ambiguous-snapshot',
      `${matches.length} snapshots start with ${text}: give more digits`,
    );
  }
  const at = spool.snapshots.indexOf(first);
  return spool.snapshots.slice(at).filter(({ job }) => job === first.job);
}
