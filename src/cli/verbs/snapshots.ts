import { type Command } from 'commander';
import { shortId } from '../../model/ids.ts';
import type { SnapshotLine } from '../../node/reading.ts';
import type { Context } from '../context.ts';
import { type ChoiceOptions, type PlaceOptions, withPlace, withReading } from '../place.ts';
import { copiesText } from '../hops-text.ts';
import { bytesText, countText, plural, timeText } from '../text.ts';
import { action, newVerb } from '../verb.ts';

interface SnapshotsOptions extends PlaceOptions, ChoiceOptions {
  readonly copies?: boolean;
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
    ],
  });
  return withPlace(verb)
    .option('--job <NAME>', 'of this job only')
    .option('--copies', 'how each copy stands and the way it took, for each snapshot')
    .action(action(snapshots));
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
      { title: 'Where', text: whereText },
      { title: 'Paths', text: ({ roots }) => roots.join(' ') },
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
function jsonOf({ takenAt, copies, ...line }: SnapshotLine) {
  return { ...line, taken_at: takenAt, copies };
}

function whereText({ where, complete, problems }: ReturnType<typeof jsonOf>): string {
  const notes = [
    ...(complete ? [] : ['partial']),
    ...(problems > 0 ? [`${plural(problems, 'entry', 'entries')} missing`] : []),
  ];
  const place = where.length === 0 ? 'nowhere any more' : where.join(', ');
  return notes.length === 0 ? place : `${place} (${notes.join(', ')})`;
}
