import { type Command } from 'commander';
import { openManifestDetails } from '../../format/manifest.ts';
import type { Entry } from '../../model/entries.ts';
import { shortId } from '../../model/ids.ts';
import { displayBytes, displayPath, type PathKey, pathKeyOf } from '../../model/paths.ts';
import type { SnapshotLine } from '../../node/reading.ts';
import type { SnapshotReader } from '../../restore/snapshot-reader.ts';
import { absolute, type Context } from '../context.ts';
import { entryJson, entryLine } from '../entry-text.ts';
import { copiesBriefly } from '../hops-text.ts';
import {
  type ChoiceOptions,
  chosenLine,
  type PlaceOptions,
  readerOf,
  withReadable,
  withReading,
} from '../place.ts';
import { timeText } from '../text.ts';
import { action, newVerb } from '../verb.ts';

interface LsOptions extends PlaceOptions, ChoiceOptions {
  readonly long?: boolean;
  readonly recursive?: boolean;
}

export function lsVerb(): Command {
  const verb = newVerb('ls', {
    summary: 'List the files in a snapshot',
    about:
      "SNAPSHOT is 'latest' or the first digits of an id. Without a PATH: what is directly in the paths that " +
      'were backed up. Nothing is restored for this.',
    examples: [
      ['lowtide ls latest --depot /mnt/disk/backups', 'the top of the newest snapshot'],
      ['lowtide ls 3f2a91 /home/ann/documents -l', 'one folder with modes, owners, sizes and times'],
      ['lowtide ls latest -R', 'everything'],
    ],
  });
  return withReadable(verb)
    .argument('<SNAPSHOT>', "'latest' or the first digits of an id")
    .argument('[PATH...]', 'folders or files in it')
    .option('-l, --long', 'with mode, owner, size and time of change')
    .option('-R, --recursive', 'everything below, too')
    .option('--job <NAME>', "what 'latest' means: the newest of this job")
    .action(action(ls));
}

async function ls(context: Context, text: string, paths: string[], options: LsOptions): Promise<number> {
  return await withReading(context, options, async (reading) => {
    const line = await chosenLine(reading, text, options);
    const reader = await readerOf(context, reading, line.id);
    if (options.long === true) tellWhere(context, line);
    const { roots } = openManifestDetails(reading.keys, reader.tree.signed.manifest);
    const wanted = paths.length === 0 ? roots : paths.map((path) => pathKeyOf(absolute(path)));
    for (const path of wanted) {
      for await (const { path: found, entry } of namesIn(reader, path, options.recursive ?? false)) {
        context.stop.throwIfAborted();
        show(context, found, entry, options.long ?? false);
      }
    }
    return reader.problems.length > 0 ? 3 : 0;
  });
}

/** Which snapshot the list is of, and how safe it is. */
function tellWhere({ output, world }: Context, { id, job, takenAt, copies }: SnapshotLine): void {
  const { zone } = world.clock;
  const end = copies.length === 0 ? '.' : ':';
  output.line(`Snapshot ${shortId(id)} of ${job}, taken ${timeText(takenAt, zone)} (${zone})${end}`);
  for (const line of copiesBriefly(copies, zone, world.clock.now())) output.line(line);
}

async function* namesIn(
  reader: SnapshotReader,
  path: PathKey,
  recursive: boolean,
): AsyncGenerator<{ readonly path: PathKey; readonly entry: Entry | null }> {
  if (!recursive) yield* reader.list(path);
  else for await (const entry of reader.entries(path)) yield { path: entry.path, entry };
}

function show({ output, world }: Context, path: PathKey, entry: Entry | null, long: boolean): void {
  output.message({ message_type: 'entry', ...entryJson(path, entry) });
  output.result(long ? entryLine(path, entry, world.clock.zone) : shortLine(path, entry));
}

function shortLine(path: PathKey, entry: Entry | null): string {
  const folder = entry === null || entry.type === 'directory';
  const target = entry?.target === undefined ? '' : ` -> ${displayBytes(entry.target)}`;
  return displayPath(path) + (folder && path !== '' ? '/' : '') + target;
}
