import { type Command } from 'commander';
import { openManifestDetails } from '../../format/manifest.ts';
import type { Entry } from '../../model/entries.ts';
import { displayBytes, displayPath, type PathKey, pathKeyOf } from '../../model/paths.ts';
import { listAll, listDirectory, type Listed, openTree } from '../../node/browse.ts';
import { absolute, type Context } from '../context.ts';
import { entryJson, entryLine } from '../entry-text.ts';
import { chosenLine, type ChoiceOptions, type PlaceOptions, withPlace, withReading } from '../place.ts';
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
  return withPlace(verb)
    .argument('<SNAPSHOT>', "'latest' or the first digits of an id")
    .argument('[PATH...]', 'folders or files in it')
    .option('-l, --long', 'with mode, owner, size and time of change')
    .option('-R, --recursive', 'everything below, too')
    .option('--job <NAME>', "what 'latest' means: the newest of this job")
    .action(action(ls));
}

async function ls(context: Context, text: string, paths: string[], options: LsOptions): Promise<void> {
  const { stop } = context;
  await withReading(context, options, async (reading) => {
    const { id } = await chosenLine(reading, text, options);
    const tree = await openTree(reading, id, stop);
    const { roots } = openManifestDetails(reading.keys, tree.signed.manifest);
    const wanted = paths.length === 0 ? roots : paths.map((path) => pathKeyOf(absolute(path)));
    for (const path of wanted) {
      const all = options.recursive === true;
      if (all) await tree.check(path);
      for await (const entry of all ? listAll(tree, path, stop) : listDirectory(tree, path, stop)) {
        show(context, 'path' in entry && 'entry' in entry ? entry : listed(entry), options.long ?? false);
      }
    }
  });
}

const listed = (entry: Entry): Listed => ({ path: entry.path, entry });

function show({ output, world }: Context, { path, entry }: Listed, long: boolean): void {
  output.message({ message_type: 'entry', ...entryJson(path, entry) });
  output.result(long ? entryLine(path, entry, world.clock.zone) : shortLine(path, entry));
}

function shortLine(path: PathKey, entry: Entry | null): string {
  const folder = entry === null || entry.type === 'directory';
  const target = entry?.target === undefined ? '' : ` -> ${displayBytes(entry.target)}`;
  return displayPath(path) + (folder && path !== '' ? '/' : '') + target;
}
