import { type Command, Option } from 'commander';
import type { Job } from '../../../model/jobs.ts';
import type { JobStatus } from '../../../node/agent/view.ts';
import { absolute, type Context } from '../../context.ts';
import { readPatterns } from '../../place.ts';
import { protectionLines, dueText } from '../../protection-text.ts';
import { type DataOptions, withAgent } from '../../reach.ts';
import { asIs, hoursText, plural } from '../../text.ts';
import { action, collect, newGroup, newVerb } from '../../verb.ts';
import { jobRunVerb } from './job-run.ts';
import { withAgentData } from './options.ts';
import { warnOfMistakes } from './status.ts';

export function jobGroup(): Command {
  return newGroup('job', 'What to back up, when to take it, when it may travel', [
    addVerb(),
    listVerb(),
    removeVerb(),
    jobRunVerb(),
  ]);
}

interface AddOptions extends DataOptions {
  readonly backup: string;
  readonly transfer: string;
  readonly zone?: string;
  readonly exclude?: readonly string[];
  readonly excludeFile?: readonly string[];
  /** False for `--no-exclude-caches`. */
  readonly excludeCaches: boolean;
  readonly oneFileSystem?: boolean;
  readonly center?: readonly string[];
  readonly spool: Job['spool'];
  readonly freeAfter: Job['freeAfter'];
  readonly target?: string;
  readonly private?: boolean;
}

function addVerb(): Command {
  const verb = newVerb('add', {
    summary: 'Add a job: these paths, taken at this hour, travelling in these hours',
    about:
      'Taking a backup and moving it are two things. --backup says when it is taken, into a sealed spool on this ' +
      'machine: "daily 22:00", "Mon-Fri 18:30", "every 6 h", "hourly", "manual". --transfer says when it may ' +
      'travel: "00:00-03:00", "Mon-Fri 22:00-06:00, Sat-Sun any", "any"; the center fetches it when that suits ' +
      'both. Hours are in the zone given, else in that of this machine.',
    examples: [
      [
        'lowtide job add documents ~/documents --backup "daily 22:00" --transfer "00:00-03:00"',
        'taken at ten, sent after midnight',
      ],
      [
        "lowtide job add home ~ --backup 'every 6 h' --exclude '*.iso' --exclude '.cache/'",
        'often, any time, without some of it',
      ],
    ],
  });
  return withAgentData(verb)
    .argument('<NAME>', 'small letters, digits, ".", "_" and "-"')
    .argument('<PATH...>', 'files and folders')
    .option('--backup <WHEN>', 'when to take it', 'daily 22:00')
    .option('--transfer <HOURS>', 'when it may travel', 'any')
    .option('--zone <ZONE>', "IANA time zone of both, such as Asia/Tokyo; else the machine's")
    .option(
      '--exclude <PATTERN>',
      'leave out what matches: a gitignore pattern, below each path (repeatable)',
      collect,
    )
    .option('--exclude-file <FILE>', 'patterns from a file, one a line (repeatable)', collect)
    .option('--no-exclude-caches', 'back up what a CACHEDIR.TAG marks as a cache too')
    .option('--one-file-system', 'do not go into other file systems that are mounted below')
    .option('--center <NAME>', 'owed to this center only (repeatable); else to all that were joined', collect)
    .addOption(
      new Option('--spool <WHAT>', 'keep changed files whole in the spool, or only their new parts')
        .choices(['files', 'difference'])
        .default('files'),
    )
    .addOption(
      new Option(
        '--free-after <WHO>',
        'free the spool once all centers have signed, or a relay has it in custody',
      )
        .choices(['centers', 'custody'])
        .default('centers'),
    )
    .option(
      '--target <SPAN>',
      'how old the newest copy at a center may get, such as "24 h": whoever is nearest to it is collected first',
    )
    .option('--private', "keep the paths out of the center's lists")
    .action(action(add));
}

async function add(context: Context, name: string, paths: string[], options: AddOptions): Promise<void> {
  const { output } = context;
  const { backup, transfer, zone, excludeCaches, spool, freeAfter, center, target } = options;
  const wish = {
    name,
    paths: paths.map(absolute),
    excludes: [...(options.exclude ?? []), ...(await readPatterns(options.excludeFile ?? []))],
    excludeCaches,
    oneFileSystem: options.oneFileSystem ?? false,
    backup,
    transfer,
    zone: zone ?? null,
    centers: [...(center ?? [])],
    spool,
    freeAfter,
    target: target ?? null,
    private: options.private ?? false,
  };
  const { job, warnings } = await withAgent(context, options, ({ people }) => people.addJob(wish));
  output.message({ message_type: 'job_added', ...job, warnings });
  for (const warning of warnings) output.warn(`warning: ${warning}`);
  output.line(`Added the job ${name}: taken ${job.backup}, may travel ${hoursText(job.transfer, job.zone)}.`);
  output.line(`'lowtide job run ${name}' takes a backup now; 'lowtide status' says how it is protected.`);
}

function listVerb(): Command {
  const verb = newVerb('list', {
    summary: 'List the jobs with when they are due and how well they are protected',
    examples: [['lowtide job list', 'the jobs of this machine']],
  });
  return withAgentData(verb).action(action(list));
}

async function list(context: Context, options: DataOptions): Promise<void> {
  const { output, world } = context;
  const { zone } = world.clock;
  const status = await withAgent(context, options, ({ people }) => people.status({}));
  warnOfMistakes(context, status);
  const text = (job: JobStatus): string => protectionLines(job, status).join('; ');
  output.table(
    'job',
    status.jobs,
    [
      { title: 'Job', text: ({ name }) => name },
      { title: 'Taken', text: ({ backup }) => backup },
      { title: 'May travel', text: ({ transfer, zone }) => hoursText(transfer, zone) },
      { title: `Next (${zone})`, text: (job) => dueText(job, status) },
      { title: 'Protected', text, below: asIs },
      { title: 'Paths', text: ({ paths }) => paths.join(' '), below: asIs },
    ],
    "There is no job yet, so nothing is backed up: 'lowtide job add' makes one.",
  );
}

function removeVerb(): Command {
  const verb = newVerb('remove', {
    summary: 'Remove a job',
    about: 'No more backups of it are taken. Those that were taken are still collected, and can be restored.',
    examples: [['lowtide job remove documents', 'take no more backups of it']],
  });
  return withAgentData(verb).argument('<NAME>').action(action(remove));
}

async function remove(context: Context, name: string, options: DataOptions): Promise<void> {
  const { output } = context;
  const { waiting } = await withAgent(context, options, ({ people }) => people.removeJob({ name }));
  output.message({ message_type: 'job_removed', name, waiting });
  const rest =
    waiting === 0 ? '' : ` ${plural(waiting, 'snapshot')} of it in the spool will still be collected.`;
  output.line(`Removed the job ${name}.${rest}`);
}
