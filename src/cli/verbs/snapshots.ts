import { type Command } from 'commander';
import { shortId } from '../../model/ids.ts';
import type { SnapshotLine } from '../../node/reading.ts';
import type { Context } from '../context.ts';
import { type ChoiceOptions, type PlaceOptions, withReadable, withReading } from '../place.ts';
import { entryJson, entryLine } from '../entry-text.ts';
import { copiesText } from '../hops-text.ts';
import { bytesText } from '../../model/bytes-text.ts';
import { asIs, countText, plural, timeText } from '../text.ts';
import { action, newVerb } from '../verb.ts';

interface SnapshotsOptions extends PlaceOptions, ChoiceOptions {
  readonly copies?: boolean;
  readonly lost?: boolean;
}

export function snapshotsVerb(): Command {
  const verb = newVerb('snapshots', {
    summary: 'List the backups that can be restored',
    about: 'Newest first. Each has an id; its first digits, as many as make it unique, name it everywhere.',
    examples: [
      ['lowtide snapshots --depot /mnt/disk/backups', 'what a depot holds'],
      [
        'lowtide snapshots --job documents',
        'what the agent of this machine has taken of one job, and where it is',
      ],
      ['lowtide snapshots --copies', 'with each copy, since when it is safe, and the hops on its way'],
      ['lowtide snapshots --lost', 'files that were lost with a relay that had them in custody'],
    ],
  });
  return withReadable(verb)
    .option('--job <NAME>', 'of this job only')
    .option('--copies', 'how each copy stands and the way it took, for each snapshot')
    .option('--lost', 'instead of snapshots, the files that a relay in custody took with it')
    .action(
      action(async (context: Context, options: SnapshotsOptions) => {
        await (options.lost === true ? lost(context, options) : snapshots(context, options));
      }),
    );
}

/** Each version of a file that is nowhere any more, by snapshot. */
async function lost(context: Context, options: SnapshotsOptions): Promise<void> {
  const { output, world, stop } = context;
  const { zone } = world.clock;
  await withReading(context, options, async (reading) => {
    let files = 0;
    for (const { row, at, holder, files: filesLost } of await reading.lost()) {
      if (options.job !== undefined && options.job !== row.job) continue;
      const { id, job, taken_at } = row;
      output.message({ message_type: 'lost_snapshot', id, job, taken_at, lost_at: at, holder });
      output.result(
        `${shortId(id)} of ${job}, taken ${timeText(taken_at, zone)}: lost with ${holder}, heard of ${timeText(at, zone)}`,
      );
      for await (const { path, entry } of filesLost(stop)) {
        files++;
        output.message({ message_type: 'lost_file', snapshot: id, ...entryJson(path, entry) });
        output.result(`  ${entryLine(path, entry, zone)}`);
      }
    }
    output.message({ message_type: 'summary', files });
    output.line(
      files === 0
        ? 'No file is lost.'
        : `${plural(files, 'file')} lost as they were then: what is on this machine now is in its next backup.`,
    );
  });
}

async function snapshots(context: Context, options: SnapshotsOptions): Promise<void> {
  const { output, world } = context;
  const { zone } = world.clock;
  const lines = await withReading(context, options, (reading) => reading.list());
  const shown = options.job === undefined ? lines : lines.filter(({ job }) => job === options.job);
  output.table(
    'snapshot',
    shown.map(jsonOf),
    [
      { title: 'Snapshot', text: ({ id }) => shortId(id) },
      { title: `Taken (${zone})`, text: ({ taken_at }) => timeText(taken_at, zone) },
      { title: 'Job', text: ({ job }) => job },
      { title: 'Files', align: 'right', text: ({ files }) => countText(files) },
      { title: 'Size', align: 'right', text: ({ bytes }) => bytesText(bytes) },
      { title: 'Where', text: whereText, below: asIs },
      { title: 'Paths', text: ({ roots }) => roots.join(' '), below: asIs },
    ],
    'There is no snapshot yet.',
  );
  if (options.copies === true) {
    for (const { id, copies } of shown) {
      output.result('');
      output.result(`${shortId(id)}${copies.length === 0 ? ': owed to no center' : ''}`);
      for (const line of copiesText(copies, zone, world.clock.now())) output.result(`  ${line}`);
    }
    output.line('');
  }
  if (shown.length > 0) output.line(`${plural(shown.length, 'snapshot')}.`);
}

/** `takenAt` as scripts see it: milliseconds since 1970 in `taken_at`, as everywhere in `--json`. */
function jsonOf({ takenAt, copies, lostWith, ...line }: SnapshotLine) {
  return { ...line, taken_at: takenAt, copies, lost_with: lostWith };
}

function whereText({ where, complete, problems, lost_with }: ReturnType<typeof jsonOf>): string {
  const notes = [
    ...(complete ? [] : ['partial']),
    ...(problems > 0 ? [`${plural(problems, 'entry', 'entries')} missing`] : []),
  ];
  const nowhere = lost_with === null ? 'nowhere any more' : `lost with ${lost_with}`;
  const place = where.length === 0 ? nowhere : where.join(', ');
  return notes.length === 0 ? place : `${place} (${notes.join(', ')})`;
}
