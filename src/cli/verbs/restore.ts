import { type Command, Option } from 'commander';
import { shortId } from '../../model/ids.ts';
import { pathKeyOf } from '../../model/paths.ts';
import type { Reading } from '../../node/reading.ts';
import type { RestorePlan, RestoreReport } from '../../restore/restore-plan.ts';
import { absolute, type Context } from '../context.ts';
import {
  beginPlace,
  type BegunDepot,
  chosenLine,
  type ChoiceOptions,
  type PlaceOptions,
  withReadable,
  withReading,
} from '../place.ts';
import { bytesText } from '../../model/bytes-text.ts';
import { durationText, plural } from '../text.ts';
import { actionAfter, newVerb } from '../verb.ts';

interface RestoreOptions extends PlaceOptions, ChoiceOptions {
  readonly to: string;
  readonly overwrite: 'always' | 'never';
  readonly owners: RestorePlan['owners'];
}

export function restoreVerb(): Command {
  const verb = newVerb('restore', {
    summary: 'Restore a snapshot, or parts of it',
    about:
      'What was /a/b becomes DIR/a/b; with --to / it goes back where it was. Content is checked before a file ' +
      'gets its name. On an enrolled machine each piece comes from the spool if it is there, else from a relay or a ' +
      'center that was joined, whichever is near or was found to be much faster, and the result says how much came ' +
      'from where; with --depot, from the depot. What is damaged ' +
      'or out of reach is listed, the rest is restored, and the exit code is 3.',
    examples: [
      [
        'lowtide restore latest --to /tmp/restored --depot /mnt/disk/backups',
        'everything, into a new folder',
      ],
      ['lowtide restore latest ~/documents/thesis.odt --to /tmp/restored', 'one file'],
      [
        'lowtide restore 3f2a91 ~/documents --to / --overwrite always',
        'a folder as it was, over what is there',
      ],
      [
        'lowtide restore latest --to / --of ann-laptop --recovery-sheet sheet.txt',
        'what a machine that was lost had backed up, on another one',
      ],
    ],
  });
  return withReadable(verb)
    .argument('<SNAPSHOT>', "'latest' or the first digits of an id")
    .argument('[PATH...]', 'files and folders in it; everything without')
    .requiredOption('--to <DIR>', 'folder to restore into, made if need be')
    .addOption(
      new Option('--overwrite <WHEN>', 'what to do with a name that is taken')
        .choices(['always', 'never'])
        .default('never'),
    )
    .addOption(
      new Option('--owners <HOW>', "by number, by name where it is known here, or 'none': all belongs to you")
        .choices(['numbers', 'names', 'none'])
        .default('numbers'),
    )
    .option('--job <NAME>', "what 'latest' means: the newest of this job")
    .action(actionAfter(begin, restore));
}

const begin = (_text: string, _paths: string[], options: RestoreOptions): Promise<BegunDepot | null> =>
  beginPlace(options);

/** If a key is being derived, what restores is loaded beside that. */
async function restore(
  context: Context,
  begun: BegunDepot | null,
  text: string,
  paths: string[],
  options: RestoreOptions,
): Promise<number> {
  const { world, stop } = context;
  const startedAt = begun?.since ?? world.clock.monotonic();
  const restorer = import('../../restore/restore.ts');
  const work = async (reading: Reading): Promise<number> => {
    const line = await chosenLine(reading, text, options);
    const plan = {
      signed: await reading.manifest(line.id),
      keys: reading.keys,
      sources: reading.sources,
      target: pathKeyOf(absolute(options.to)),
      paths: paths.map((path) => pathKeyOf(absolute(path))),
      overwrite: options.overwrite,
      owners: options.owners,
    };
    const { restoreSnapshot } = await restorer;
    const report = await restoreSnapshot(world, plan, stop);
    context.clearProgress();
    tell(context, line.id, absolute(options.to), report, world.clock.monotonic() - startedAt);
    return report.complete ? 0 : 3;
  };
  return await withReading(context, options, work, begun);
}

function tell(
  { output }: Context,
  snapshot: string,
  target: string,
  report: RestoreReport,
  ms: number,
): void {
  const { files, links, directories, others, bytes, skipped, bySource, problemCount, complete } = report;
  output.message({
    message_type: 'summary',
    snapshot,
    target,
    files,
    links,
    directories,
    others,
    bytes,
    skipped,
    by_source: bySource,
    problems: problemCount,
    complete,
    seconds: ms / 1000,
  });
  const rest = others === 0 ? '' : `, ${plural(others, 'other entry', 'other entries')}`;
  output.line(
    `Restored ${plural(files, 'file')}, ${plural(directories, 'folder')}${rest}, ${bytesText(bytes)}` +
      ` of snapshot ${shortId(snapshot)} to ${target} in ${durationText(ms)}.`,
  );
  for (const source of bySource) {
    if (source.bytes > 0) output.line(`  ${bytesText(source.bytes)} from ${source.name}`);
  }
  if (problemCount > 0) {
    output.warn(`${plural(problemCount, 'problem')}: not everything could be restored; see above.`);
  }
}
