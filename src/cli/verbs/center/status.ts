import type { Command } from 'commander';
import { shortId } from '../../../model/ids.ts';
import type { CenterOverview, ComputerStatus, JobHere } from '../../../node/center/overview.ts';
import { DAY_MS, HOUR_MS } from '../../../model/time.ts';
import { spanText } from '../../../schedule/span-text.ts';
import type { Context } from '../../context.ts';
import { withCenter } from '../../reach.ts';
import { bytesText } from '../../../model/bytes-text.ts';
import { hangingLines, hoursText, namedLines, plural, timeText } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { section, warnOfMistakes } from '../agent/status.ts';
import { readingText } from './conditions.ts';
import { heldText } from './hold.ts';
import { type NodeOptions, withNodeData } from './options.ts';

interface StatusOptions extends NodeOptions {
  readonly all?: boolean;
}

export function centerStatusVerb(): Command {
  const verb = newVerb('status', {
    summary: 'Which computers are protected here, and which need a look',
    about:
      'A computer needs a look if nothing of it is here, if the newest backup of a job is older than its target, or, where nobody set ' +
      'a target, older than a week. What was shut out, or has left, is not counted.',
    examples: [
      ['lowtide center status', 'what needs a look, what is to come, how much is stored'],
      ['lowtide center status --all', 'every job of every computer'],
      ['lowtide center status --json', 'one message for the center, and for each computer and job'],
    ],
  });
  return withNodeData(verb, 'center').option('--all', 'every job of every computer').action(action(status));
}

async function status(context: Context, options: StatusOptions): Promise<void> {
  const { output } = context;
  const state = await withCenter(context, options, ({ people }) => people.overview({}));
  tellScripts(context, state);
  const { name, center, software, zone, running, windows, windowsZone, streams, computers } = state;
  output.result(`${name} (center ${shortId(center)}), ${software}. Times are in ${zone}.`);
  const collects = `it collects ${hoursText(windows, windowsZone)}, ${streams} at a time`;
  output.result(
    running ? `The center is running; ${collects}.` : `The center is NOT RUNNING; when it runs, ${collects}.`,
  );
  warnOfMistakes(context, { mistakes: state.mistake === null ? [] : [state.mistake] });
  for (const reading of state.readings)
    if (reading.holds) output.result(`${reading.name}: ${readingText(reading)}`);
  const rows = computers.flatMap(rowsOf);
  const wanting = rows.filter(needsALook);
  const title = `${plural(computers.length, 'computer')}, ${plural(rows.filter(({ job }) => job !== null).length, 'job')}`;
  if (options.all === true) section(context, title, rowLines(rows, context, state), nobody);
  else
    section(
      context,
      `${title}: ${lookText(wanting.length)}`,
      rowLines(wanting, context, state),
      nobodyWaits(rows),
    );
  section(context, 'To come', [comingText(computers)], '');
  section(context, 'Store', [`${bytesText(state.stored)} of blocks`], '');
}

const nobody = "no computer comes here: 'lowtide center token' lets one in";

const nobodyWaits = (rows: readonly Row[]): string =>
  rows.length === 0 ? nobody : "'lowtide center status --all' lists them";

const lookText = (count: number): string =>
  count === 0 ? 'none needs a look' : `${count === 1 ? 'one needs' : `${count} need`} a look`;

/** A job, or a computer of which there is none. */
interface Row {
  readonly computer: ComputerStatus;
  readonly job: JobHere | null;
}

const rowsOf = (computer: ComputerStatus): Row[] =>
  computer.jobs.length === 0 ? [{ computer, job: null }] : computer.jobs.map((job) => ({ computer, job }));

const needsALook = ({ job }: Row): boolean => job === null || job.standing !== 'here';

function rowLines(rows: readonly Row[], context: Context, state: CenterOverview): string[] {
  return namedLines(
    rows.map((row) => {
      const { computer, job } = row;
      const name = job === null ? computer.name : `${computer.name} ${job.job}`;
      return [name, (columns) => hangingLines(rowText(row, context, state), columns)];
    }),
  );
}

function rowText({ computer, job }: Row, context: Context, { now, zone }: CenterOverview): string {
  const time = (at: number): string => timeText(at, zone);
  const parts = [
    job === null
      ? `NOTHING was ever offered: joined ${time(computer.enrolledAt)}`
      : standingText(job, now, time),
  ];
  if (job !== null && job.coming.snapshots > 0)
    parts.push(`${plural(job.coming.snapshots, 'snapshot')}, ${bytesText(job.coming.bytes)}, still to come`);
  if (computer.held !== null) parts.push(`held back ${heldText(computer.held, context)}`);
  if (computer.connected) parts.push('connected');
  else if (computer.direct)
    parts.push(computer.seenAt === null ? 'never seen' : `seen ${time(computer.seenAt)}`);
  if (computer.left !== null)
    parts.push(`came through ${computer.left.relay}, which left ${time(computer.left.at)}`);
  if (computer.via.length > 0) parts.push(`comes through ${computer.via.join(' and ')}`);
  return parts.join('; ');
}

function standingText(
  { newest, target, standing }: JobHere,
  now: number,
  time: (at: number) => string,
): string {
  if (newest === null) return 'NO WHOLE BACKUP is here yet';
  const age = now - newest.takenAt;
  const text = `the newest is of ${time(newest.takenAt)}`;
  if (standing === 'late') return `LATE: ${text}, ${ageText(age)} ago, and may be ${spanText(target!)} old`;
  return standing === 'old' ? `OLD: ${text}, ${ageText(age)} ago` : text;
}

/** `5 h`, `13 d`. */
const ageText = (ms: number): string =>
  ms < 2 * DAY_MS ? `${Math.floor(ms / HOUR_MS)} h` : `${Math.floor(ms / DAY_MS)} d`;

function comingText(computers: readonly ComputerStatus[]): string {
  let [snapshots, bytes] = [0, 0];
  for (const { coming } of computers.flatMap(({ jobs }) => jobs)) {
    snapshots += coming.snapshots;
    bytes += coming.bytes;
  }
  if (snapshots === 0) return 'nothing waits';
  return `${plural(snapshots, 'snapshot')}, ${bytesText(bytes)} ('lowtide center plan' says why and until when)`;
}

function tellScripts({ output }: Context, state: CenterOverview): void {
  const { computers, windowsZone, ...center } = state;
  output.message({ message_type: 'center', ...center, windows_zone: windowsZone });
  for (const { jobs, enrolledAt, seenAt, ...computer } of computers) {
    const { id: client, name: clientName } = computer;
    output.message({ message_type: 'computer', ...computer, enrolled_at: enrolledAt, seen_at: seenAt });
    for (const { newest, ...job } of jobs) {
      const known = newest && {
        snapshot: newest.snapshot,
        taken_at: newest.takenAt,
        arrived_at: newest.arrivedAt,
      };
      output.message({ message_type: 'job', client, clientName, ...job, newest: known });
    }
  }
}
