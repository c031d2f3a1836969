import { type Command } from 'commander';
import { displayPath, pathKeyOf, ROOT_PATH } from '../../model/paths.ts';
import { openTree } from '../../node/browse.ts';
import { type Change, type ChangeKind, compareTrees } from '../../node/compare.ts';
import { absolute, type Context } from '../context.ts';
import { chosenLine, type ChoiceOptions, type PlaceOptions, withPlace, withReading } from '../place.ts';
import { bytesText, plural } from '../text.ts';
import { action, newVerb } from '../verb.ts';

const SIGNS: Readonly<Record<ChangeKind, string>> = {
  added: '+',
  removed: '-',
  type: 'T',
  content: 'M',
  metadata: 'U',
};

export function diffVerb(): Command {
  const verb = newVerb('diff', {
    summary: 'Show what changed between two snapshots',
    about:
      '+ added, - removed, M content changed, T became another type, U only mode, owner or time changed. ' +
      'Nothing is restored for this.',
    examples: [
      ['lowtide diff 3f2a91 latest --depot /mnt/disk/backups', 'from an older snapshot to the newest'],
    ],
  });
  return withPlace(verb)
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
    const before = await openTree(reading, (await chosenLine(reading, a, options)).id, stop);
    const after = await openTree(reading, (await chosenLine(reading, b, options)).id, stop);
    const within = path === undefined ? ROOT_PATH : pathKeyOf(absolute(path));
    const counts: Record<ChangeKind, number> = { added: 0, removed: 0, type: 0, content: 0, metadata: 0 };
    let grown = 0;
    for await (const change of compareTrees(before, after, within, stop)) {
      counts[change.kind]++;
      grown += (change.after?.size ?? 0) - (change.before?.size ?? 0);
      show(context, change);
    }
    output.message({ message_type: 'summary', ...counts, size_change: grown });
    output.line(
      `${plural(counts.added, 'entry', 'entries')} added, ${counts.removed} removed, ` +
        `${counts.content + counts.type} changed, ${counts.metadata} with other mode, owner or time; ` +
        `${grown < 0 ? '-' : '+'}${bytesText(Math.abs(grown))}.`,
    );
  });
}

function show({ output }: Context, { path, kind, before, after }: Change): void {
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
