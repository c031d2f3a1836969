import { type Command, Option } from 'commander';
import type { BackupResult } from '../../backup/plan.ts';
import { tmpdir } from 'node:os';
import type { SourceCommand } from '../../backup/command-sources.ts';
import { LowtideError } from '../../model/errors.ts';
import { shortId } from '../../model/ids.ts';
import { pathKeyOf } from '../../model/paths.ts';
import { COMPRESSION_LEVELS, type Compression } from '../../node/settings/compression.ts';
import { absolute, type Context } from '../context.ts';
import { beginDepot, type BegunDepot, type PlaceOptions, readPatterns, withDepot } from '../place.ts';
import { hostName, softwareName } from '../software.ts';
import { bytesText } from '../../model/bytes-text.ts';
import { durationText, plural } from '../text.ts';
import { actionAfter, collect, newVerb } from '../verb.ts';

interface BackupOptions extends PlaceOptions {
  readonly exclude?: readonly string[];
  readonly excludeFile?: readonly string[];
  readonly excludeCaches?: boolean;
  readonly oneFileSystem?: boolean;
  readonly sourceCommand?: readonly string[];
  readonly name?: string;
  readonly compression: Compression;
}

export function backupVerb(): Command {
  const verb = newVerb('backup', {
    summary: 'Back up files and folders into a depot, now',
    about:
      'What did not change since the last backup of the same paths is not read again, and what the depot ' +
      'has already is not stored again. A file that cannot be read is reported and the rest goes on; then ' +
      "the exit code is 3. (On an enrolled machine, 'lowtide job run' takes a backup into the spool.)",
    examples: [
      ['lowtide backup ~/documents --depot /mnt/disk/backups', 'everything in ~/documents'],
      [
        "lowtide backup / --depot /mnt/b --one-file-system --exclude '/tmp/' --exclude '*.iso'",
        'a whole system, without some of it',
      ],
      [
        "lowtide backup --depot /mnt/b --source-command 'app.sql=pg_dump app'",
        "a database's dump, as /app.sql; if the command fails, so does the backup",
      ],
    ],
  });
  return withDepot(verb)
    .argument('[PATH...]', 'files and folders')
    .option(
      '--exclude <PATTERN>',
      'leave out what matches: a gitignore pattern, below each path (repeatable)',
      collect,
    )
    .option('--exclude-file <FILE>', 'patterns from a file, one a line (repeatable)', collect)
    .option('--exclude-caches', 'leave out what a CACHEDIR.TAG marks as a cache')
    .option('--one-file-system', 'do not go into other file systems that are mounted below')
    .option(
      '--source-command <NAME=COMMAND>',
      "back up what a command prints, as the file /NAME; it is run by 'sh -c' (repeatable)",
      collect,
    )
    .option('--name <JOB>', 'name of the job; else that of earlier backups of the same paths, or a new one')
    .addOption(
      new Option('--compression <HOW>', 'how hard to try')
        .choices(Object.keys(COMPRESSION_LEVELS))
        .default('default' satisfies Compression),
    )
    .action(actionAfter(begin, backup));
}

interface Begun extends BegunDepot {
  readonly commands: readonly SourceCommand[];
}

async function begin(paths: string[], options: BackupOptions): Promise<Begun> {
  const commands = (options.sourceCommand ?? []).map(sourceCommand);
  if (paths.length === 0 && commands.length === 0)
    throw new LowtideError('bad-request', 'name a file or folder to back up, or a --source-command');
  return { commands, ...(await beginDepot(options)) };
}

/** The key is being derived: what takes backups is loaded beside that, threads begin, and the depot is locked and opened. */
async function backup(
  context: Context,
  begun: Begun,
  paths: string[],
  options: BackupOptions,
): Promise<number> {
  const { world, stop } = context;
  const { checkJobName, takeAlone } = await import('../../node/alone/backup.ts');
  const { openAlone } = await import('../../node/alone/alone.ts');
  world.work.prepare?.();
  world.work.prepare?.();
  const { depot, secret, unlocking, commands, since } = begun;
  const request = {
    commands,
    temporary: tmpdir(),
    paths: paths.map((path) => pathKeyOf(absolute(path))),
    name: options.name === undefined ? null : checkJobName(options.name),
    excludes: [...(options.exclude ?? []), ...(await readPatterns(options.excludeFile ?? []))],
    excludeCaches: options.excludeCaches ?? false,
    oneFileSystem: options.oneFileSystem ?? false,
    level: COMPRESSION_LEVELS[options.compression],
    host: hostName(),
    software: softwareName(),
  };
  const alone = await openAlone(world, depot, secret, 'write', unlocking);
  try {
    const result = await takeAlone(world, alone, request, stop);
    context.clearProgress();
    tell(context, result, world.clock.monotonic() - since);
    return result.counts.problems > 0 ? 3 : 0;
  } finally {
    await alone.depot.close();
  }
}

/** `NAME=COMMAND`. @throws LowtideError `bad-request` */
function sourceCommand(text: string): SourceCommand {
  const [, name, line] = /^([^=]+)=(.*\S.*)$/s.exec(text) ?? [];
  if (name === undefined || line === undefined)
    throw new LowtideError(
      'bad-request',
      `--source-command takes NAME=COMMAND, such as app.sql='pg_dump app', and not ${text}`,
    );
  return { name, words: ['sh', '-c', line] };
}

function tell({ output }: Context, result: BackupResult, ms: number): void {
  const { signed, counts, storedBytes, storedBlocks, unchanged } = result;
  const { job, sequence, previous, takenAt } = signed.manifest;
  output.message({
    message_type: 'summary',
    snapshot: signed.id,
    job,
    sequence,
    previous,
    taken_at: takenAt,
    ...counts,
    unchanged,
    stored_bytes: storedBytes,
    stored_blocks: storedBlocks,
    complete: result.complete,
    seconds: ms / 1000,
  });
  output.line(`Snapshot ${shortId(signed.id)} of job ${job}.`);
  output.line(
    `${plural(counts.files, 'file')}, ${plural(counts.directories, 'folder')}, ${bytesText(counts.bytes)}` +
      ` in ${durationText(ms)}; ${plural(unchanged, 'file')} unchanged; ${bytesText(storedBytes)} stored.`,
  );
  if (counts.problems > 0) {
    output.warn(
      `${plural(counts.problems, 'entry', 'entries')} could not be backed up as they are: see above.`,
    );
  }
}
