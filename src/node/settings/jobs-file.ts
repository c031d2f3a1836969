import { isMap, isSeq } from 'yaml';
import { z } from 'zod';
import { LowtideError, messageOf } from '../../model/errors.ts';
import { parseCenterId } from '../../model/ids.ts';
import type { Job, JobHooks } from '../../model/jobs.ts';
import { checkName, pathKeyOf, type ByteName } from '../../model/paths.ts';
import { parseCalendar } from '../../schedule/calendar.ts';
import { parseSpan, spanText } from '../../schedule/span-text.ts';
import { parseWindows } from '../../schedule/windows.ts';
import type { World } from '../../world/ports.ts';
import { wordsShape } from './strain-settings.ts';
import { LastGood, type ReadYaml, YamlFile } from './yaml-file.ts';

/** The backup control table as people edit it (SEED 121). Comments survive changes made by commands. */
const TEMPLATE = `# The backup control table: what to back up, when to take it, when it may travel.
# Change it here or with 'lowtide job add|remove'; a running agent sees changes within a minute.
#
#   - name: documents
#     paths: [/home/ann/documents]
#     backup: daily 22:00            # daily HH:MM, Mon-Fri HH:MM, every 6 h, hourly, manual
#     transfer: 00:00-03:00          # any, HH:MM-HH:MM, Mon-Fri 22:00-06:00, except Sun
#     zone: Asia/Tokyo               # an IANA zone; the machine's own if left out
#     excludes: ["*.tmp", "node_modules/"]   # gitignore patterns
#     excludeCaches: true            # leave out what a CACHEDIR.TAG marks
#     oneFileSystem: false           # do not descend into other mounts
#     spool: files                   # files | difference
#     target: 24 h                   # how old the newest copy at a center may get: a wish
#     hooks:                         # programs that agent.yaml allows; exit status 0 is success
#       before: /usr/local/lib/lowtide/freeze   # fails: nothing is taken
#       after: [/usr/local/lib/lowtide/thaw, now]   # in any case
#       timeout: 600                 # seconds, of each
#     commands:                      # what a program prints is backed up as /NAME
#       - {name: app.sql, run: [/usr/bin/pg_dump, app]}
#     private: false                 # true hides the paths from the center's lists
jobs: []
`;

/** Two days: longer is no time-out. */
const MAX_TIMEOUT_SECONDS = 172_800;

/** As a manifest takes it (format F43), without slashes. */
const JOB_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

const hooksShape = z.strictObject({
  before: wordsShape.optional(),
  after: wordsShape.optional(),
  timeout: z.number().positive().max(MAX_TIMEOUT_SECONDS).optional(),
});
const commandShape = z.strictObject({ name: z.string().min(1), run: wordsShape });

const jobShape = z.strictObject({
  name: z
    .string()
    .regex(JOB_NAME, 'expected small letters, digits, ".", "_" and "-", a letter or digit first, at most 64'),
  paths: z
    .array(z.string().startsWith('/', 'expected an absolute path'))
    .min(1, 'expected at least one path'),
  excludes: z.array(z.string()).default([]),
  excludeCaches: z.boolean().default(true),
  oneFileSystem: z.boolean().default(false),
  backup: z.string().default('daily 22:00'),
  transfer: z.string().default('any'),
  zone: z.string().optional(),
  centers: z.array(z.string()).default([]),
  spool: z.enum(['files', 'difference']).default('files'),
  freeAfter: z.enum(['centers', 'custody']).default('centers'),
  target: z.string().optional(),
  hooks: hooksShape.optional(),
  commands: z.array(commandShape).default([]),
  private: z.boolean().default(false),
});
const fileShape = z.strictObject({ jobs: z.array(jobShape).nullish() });
type JobsYaml = ReadYaml<z.infer<typeof fileShape>>;

/** The jobs file of one agent: read whenever it is needed, checked with line and column. */
export class JobsFile {
  readonly #world: World;
  readonly #file: YamlFile<z.infer<typeof fileShape>>;
  readonly #lastGood: LastGood<readonly Job[]>;

  constructor(world: World, path: string) {
    this.#world = world;
    this.#file = new YamlFile(world, path, fileShape, (place) =>
      place.length === 0 ? ['jobs'] : Object.keys(jobShape.shape),
    );
    this.#lastGood = new LastGood(world, [], () => this.read());
  }

  async create(): Promise<void> {
    await this.#file.create(TEMPLATE);
  }

  /** For a running agent: a file that somebody is just editing must not stop it. */
  async current(): Promise<readonly Job[]> {
    return await this.#lastGood.current();
  }

  /** What keeps the file from being in force, as far as `current` has seen; null for nothing. */
  get mistake(): string | null {
    return this.#lastGood.mistake;
  }

  /** @throws LowtideError `bad-config` with file, line, column and what was expected */
  async read(): Promise<readonly Job[]> {
    return this.#jobsOf(await this.#file.read());
  }

  /** @throws LowtideError `job-exists`, `bad-schedule`, `bad-zone`, `bad-config` */
  async add(job: Job): Promise<void> {
    const read = await this.#file.read();
    if (this.#jobsOf(read).some(({ name }) => name === job.name)) {
      throw new LowtideError(
        'job-exists',
        `there is a job ${job.name} already: remove it first, or edit ${this.#file.path}`,
      );
    }
    parseCalendar(job.backup, job.zone);
    parseWindows(job.transfer, job.zone);
    const { document } = read;
    if (!isSeq(document.get('jobs'))) document.set('jobs', document.createNode([]));
    const list = document.get('jobs');
    if (!isSeq(list)) throw new TypeError('jobs must be a list after it was set');
    list.flow = false;
    list.add(document.createNode(plainJob(job)));
    await this.#file.write(document);
  }

  /** @throws LowtideError `no-such-job`, `bad-config` */
  async remove(name: string): Promise<void> {
    const { document } = await this.#file.read();
    const list = document.get('jobs');
    const at = isSeq(list) ? list.items.findIndex((item) => isMap(item) && item.get('name') === name) : -1;
    if (!isSeq(list) || at === -1) {
      throw new LowtideError(
        'no-such-job',
        `there is no job ${name}: 'lowtide job list' shows what there is`,
      );
    }
    list.items.splice(at, 1);
    if (list.items.length === 0) list.flow = true;
    await this.#file.write(document);
  }

  #jobsOf(read: JobsYaml): readonly Job[] {
    const seen = new Set<string>();
    return (read.value.jobs ?? []).map((job, at) => {
      if (seen.has(job.name)) throw read.bad(['jobs', at, 'name'], `there is another job named ${job.name}`);
      seen.add(job.name);
      return checked(read, at, { ...job, zone: job.zone ?? this.#world.clock.zone });
    });
  }
}

function checked(read: JobsYaml, at: number, job: z.infer<typeof jobShape> & { zone: string }): Job {
  const check = <T>(key: string, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw read.bad(['jobs', at, key], messageOf(error));
    }
  };
  check('zone', () => parseWindows('any', job.zone));
  check('backup', () => parseCalendar(job.backup, job.zone));
  check('transfer', () => parseWindows(job.transfer, job.zone));
  check('paths', () => job.paths.map(pathKeyOf));
  const { hooks, commands, target, ...rest } = job;
  const ran = commands.map(({ name, run }) => ({ name, words: run }));
  check('commands', () => ran.map(({ name }) => checkName(name as ByteName)));
  return {
    ...rest,
    ...(target === undefined ? {} : { target: check('target', () => parseSpan(target)) }),
    ...(hooks === undefined ? {} : { hooks: definedOf(hooks) }),
    ...(ran.length === 0 ? {} : { commands: ran }),
    centers: check('centers', () => job.centers.map(parseCenterId)),
  };
}

function definedOf({ before, after, timeout }: z.infer<typeof hooksShape>): JobHooks {
  return {
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

/** Defaults are left out: the file says what its owner decided. */
function plainJob(job: Job): Record<string, unknown> {
  const plain: Record<string, unknown> = { name: job.name, paths: [...job.paths] };
  if (job.excludes.length > 0) plain['excludes'] = [...job.excludes];
  if (!job.excludeCaches) plain['excludeCaches'] = false;
  if (job.oneFileSystem) plain['oneFileSystem'] = true;
  plain['backup'] = job.backup;
  plain['transfer'] = job.transfer;
  plain['zone'] = job.zone;
  if (job.centers.length > 0) plain['centers'] = [...job.centers];
  if (job.spool !== 'files') plain['spool'] = job.spool;
  if (job.freeAfter !== 'centers') plain['freeAfter'] = job.freeAfter;
  if (job.target !== undefined) plain['target'] = spanText(job.target);
  if (job.hooks !== undefined) plain['hooks'] = { ...job.hooks };
  if (job.commands !== undefined)
    plain['commands'] = job.commands.map(({ name, words }) => ({ name, run: [...words] }));
  if (job.private) plain['private'] = true;
  return plain;
}
