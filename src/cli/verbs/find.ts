import { type Command } from 'commander';
import { shortId } from '../../model/ids.ts';
import { type PathKey, pathKeyOf, ROOT_PATH } from '../../model/paths.ts';
import { listAll, openTree, patternMatcher } from '../../node/browse.ts';
import { type Reading, resolveLine, type SnapshotLine } from '../../node/reading.ts';
import { absolute, type Context } from '../context.ts';
import { entryJson, entryLine } from '../entry-text.ts';
import { type ChoiceOptions, type PlaceOptions, withPlace, withReading } from '../place.ts';
import { plural, timeText } from '../text.ts';
import { action, collect, newVerb } from '../verb.ts';

interface FindOptions extends PlaceOptions, ChoiceOptions {
  readonly snapshot?: readonly string[];
  readonly all?: boolean;
  readonly ignoreCase?: boolean;
  readonly within?: string;
}

export function findVerb(): Command {
  const verb = newVerb('find', {
    summary: 'Find files by name, in one snapshot or in all',
    about:
      'A pattern without a slash is compared with names, one with a slash with whole paths; * stands for any ' +
      'characters but a slash, ** for any, ? for one, [abc] for one of these. Without --snapshot or --all, the ' +
      'newest snapshot of every job is looked through.',
    examples: [
      ["lowtide find '*.odt' --depot /mnt/disk/backups", 'by the end of the name, in the newest snapshots'],
      ["lowtide find 'thesis*' --all", 'in all snapshots: when was it still there?'],
      ["lowtide find '/home/**/.ssh/*' --snapshot latest", 'by path'],
    ],
  });
  return withPlace(verb)
    .argument('<PATTERN>')
    .option('--snapshot <SNAPSHOT>', 'look in this one (repeatable)', collect)
    .option('--all', 'look in every snapshot')
    .option('--job <NAME>', 'in snapshots of this job only')
    .option('--within <PATH>', 'below this folder only')
    .option('-i, --ignore-case', 'small letters and capitals are the same')
    .action(action(find));
}

async function find(context: Context, pattern: string, options: FindOptions): Promise<void> {
  const matches = patternMatcher(pattern, options.ignoreCase ?? false);
  const within = options.within === undefined ? ROOT_PATH : pathKeyOf(absolute(options.within));
  await withReading(context, options, async (reading) => {
    let found = 0;
    for (const line of wanted(await reading.list(), options)) {
      found += await findIn(context, reading, line, within, matches);
    }
    context.output.line(found === 0 ? 'Nothing found.' : `${plural(found, 'match', 'matches')}.`);
  });
}

function wanted(lines: readonly SnapshotLine[], options: FindOptions): readonly SnapshotLine[] {
  const { snapshot, all, job } = options;
  if (snapshot !== undefined) return snapshot.map((text) => resolveLine(lines, text, job));
  const kept = lines.filter((line) => line.where.length > 0 && (job === undefined || line.job === job));
  if (all === true) return kept;
  const newest = new Map<string, SnapshotLine>();
  for (const line of kept) if (!newest.has(line.job)) newest.set(line.job, line);
  return [...newest.values()];
}

async function findIn(
  { output, world, stop }: Context,
  reading: Reading,
  line: SnapshotLine,
  within: PathKey,
  matches: (path: PathKey) => boolean,
): Promise<number> {
  const { zone } = world.clock;
  const tree = await openTree(reading, line.id, stop);
  let found = 0;
  for await (const entry of listAll(tree, within, stop)) {
    if (!matches(entry.path)) continue;
    if (found++ === 0) {
      output.line(
        `In snapshot ${shortId(line.id)} of ${line.job}, taken ${timeText(line.takenAt, zone)} ${zone}:`,
      );
    }
    output.message({ message_type: 'match', snapshot: line.id, ...entryJson(entry.path, entry) });
    output.result(entryLine(entry.path, entry, zone));
  }
  return found;
}
