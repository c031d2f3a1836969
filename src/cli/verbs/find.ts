import { type Command } from 'commander';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import { shortId } from '../../model/ids.ts';
import { type PathKey, pathKeyOf, ROOT_PATH } from '../../model/paths.ts';
import { resolveLine, type SnapshotLine } from '../../node/reading.ts';
import type { SnapshotReader } from '../../restore/snapshot-reader.ts';
import { absolute, type Context } from '../context.ts';
import { entryJson, entryLine } from '../entry-text.ts';
import { type ChoiceOptions, type PlaceOptions, readerOf, withReadable, withReading } from '../place.ts';
import { plural, timeText } from '../text.ts';
import { action, collect, newVerb } from '../verb.ts';

interface FindOptions extends PlaceOptions, ChoiceOptions {
  readonly snapshot?: readonly string[];
  readonly all?: boolean;
  readonly within?: string;
}

export function findVerb(): Command {
  const verb = newVerb('find', {
    summary: 'Find files by name, in one snapshot or in all',
    about:
      'Finds what has the text anywhere in its path; with *, ? or [abc] what has such a name, and with a slash ' +
      'too what has such a path (** is any number of folders). Without --snapshot or --all, the newest snapshot ' +
      'of every job is looked through.',
    examples: [
      ["lowtide find '*.odt' --depot /mnt/disk/backups", 'by the end of the name, in the newest snapshots'],
      ["lowtide find 'thesis*' --all", 'in all snapshots: when was it still there?'],
      ["lowtide find '/home/**/.ssh/*' --snapshot latest", 'by path'],
    ],
  });
  return withReadable(verb)
    .argument('<PATTERN>')
    .option('--snapshot <SNAPSHOT>', 'look in this one (repeatable)', collect)
    .option('--all', 'look in every snapshot')
    .option('--job <NAME>', 'in snapshots of this job only')
    .option('--within <PATH>', 'below this folder only')
    .action(action(find));
}

async function find(context: Context, pattern: string, options: FindOptions): Promise<number> {
  if (pattern === '') throw new LowtideError('bad-request', 'an empty pattern finds nothing');
  const within = options.within === undefined ? ROOT_PATH : pathKeyOf(absolute(options.within));
  return await withReading(context, options, async (reading) => {
    let found = 0;
    let problems = 0;
    for (const line of wanted(await reading.list(), options)) {
      const reader = await readerOf(context, reading, line.id);
      found += await findIn(context, reader, line, { pattern, within });
      problems += reader.problems.length;
    }
    context.output.line(found === 0 ? 'Nothing found.' : `${plural(found, 'match', 'matches')}.`);
    return problems > 0 ? 3 : 0;
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
  reader: SnapshotReader,
  line: SnapshotLine,
  { pattern, within }: { readonly pattern: string; readonly within: PathKey },
): Promise<number> {
  const { zone } = world.clock;
  if (within !== ROOT_PATH && (await isMissing(reader, within))) return 0;
  let found = 0;
  for await (const entry of reader.find(pattern, within)) {
    stop.throwIfAborted();
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

/** Of several snapshots some need not have the folder. */
async function isMissing(reader: SnapshotReader, path: PathKey): Promise<boolean> {
  try {
    await reader.tree.open();
    await reader.tree.check(path);
    return false;
  } catch (error) {
    if (isLowtideError(error, 'no-such-path')) return true;
    throw error;
  }
}
