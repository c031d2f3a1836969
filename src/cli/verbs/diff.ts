import { type Command } from 'commander';
import { displayPath, isWithin, pathKeyOf, ROOT_PATH } from '../../model/paths.ts';
import { type Difference, diffSnapshots } from '../../restore/snapshot-diff.ts';
import { absolute, type Context } from '../context.ts';
import { type ChoiceOptions, chosenReader, type PlaceOptions, withReadable, withReading } from '../place.ts';
import { bytesText } from '../../model/bytes-text.ts';
import { plural } from '../text.ts';
import { action, newVerb } from '../verb.ts';

const SIGNS = { added: '+', removed: '-', content: 'M', metadata: 'U' } as const;

export function diffVerb(): Command {
  const verb = newVerb('diff', {
    summary: 'Show what changed between two snapshots',
    about:
      '+ added, - removed, M content or type changed, U only mode, owner or time changed. Nothing is restored ' +
      'for this.',
    examples: [
      ['lowtide diff 3f2a91 latest --depot /mnt/disk/backups', 'from an older snapshot to the newest'],
    ],
  });
  return withReadable(verb)
    .argument('<A>', 'the older snapshot')
    .argument('<B>', 'the newer snapshot')
    .argument('[PATH]', 'below this folder only')
    .option('--job <NAME>', "what 'latest' means: the newest of this job")
    .action(action(diff));
}

async function diff(
  context: Context,
  a: string,
  b: string,
  path: string | undefined,
  options: PlaceOptions & ChoiceOptions,
): Promise<void> {
  const { output, stop } = context;
  await withReading(context, options, async (reading) => {
    const before = await chosenReader(context, reading, a, options);
    const after = await chosenReader(context, reading, b, options);
    const within = path === undefined ? ROOT_PATH : pathKeyOf(absolute(path));
    const counts = { added: 0, removed: 0, content: 0, metadata: 0 };
    let grown = 0;
    for await (const change of diffSnapshots(before.tree, after.tree)) {
      stop.throwIfAborted();
      if (!isWithin(change.path, within)) continue;
      counts[change.kind]++;
      grown += (change.after?.size ?? 0) - (change.before?.size ?? 0);
      show(context, change);
    }
    output.message({ message_type: 'summary', ...counts, size_change: grown });
    output.line(
      `${plural(counts.added, 'entry', 'entries')} added, ${counts.removed} removed, ` +
        `${counts.content} changed, ${counts.metadata} with other mode, owner or time; ` +
        `${grown < 0 ? '-' : '+'}${bytesText(Math.abs(grown))}.`,
    );
  });
}

function show({ output }: Context, { path, kind, before, after }: Difference): void {
  output.message({
    message_type: 'change',
    change: kind,
    path: displayPath(path),
    size_before: before?.size ?? null,
    size_after: after?.size ?? null,
  });
  const folder = (after ?? before)?.type === 'directory' ? '/' : '';
  output.result(`${SIGNS[kind]} ${displayPath(path)}${folder}`);
}
