import { isMap, isSeq, LineCounter, parseDocument, type Document, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { isLowtideError, LowtideError, messageOf } from '../model/errors.ts';
import { parseCenterId } from '../model/ids.ts';
import type { Job } from '../model/jobs.ts';
import { pathKeyOf } from '../model/paths.ts';
import { parseCalendar } from '../schedule/calendar.ts';
import { parseWindows } from '../schedule/windows.ts';
import { readWhole, writeDurably } from '../world/durable.ts';
import type { World } from '../world/ports.ts';

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
#     private: false                 # true hides the paths from the center's lists
jobs: []
`;

const JOBS_FILE_BYTES_MAX = 1 << 20;
const JOB_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const jobShape = z.strictObject({
  name: z.string().regex(JOB_NAME, 'a name of letters, digits, ".", "_" and "-", at most 64'),
  paths: z.array(z.string().startsWith('/', 'an absolute path')).min(1, 'at least one path'),
  excludes: z.array(z.string()).default([]),
  excludeCaches: z.boolean().default(true),
  oneFileSystem: z.boolean().default(false),
  backup: z.string().default('daily 22:00'),
  transfer: z.string().default('any'),
  zone: z.string().optional(),
  centers: z.array(z.string()).default([]),
  spool: z.enum(['files', 'difference']).default('files'),
  freeAfter: z.enum(['centers', 'custody']).default('centers'),
  private: z.boolean().default(false),
});
const fileShape = z.strictObject({ jobs: z.array(jobShape).default([]) });

/** The jobs file of one agent: read whenever it is needed, checked with line and column. */
export class JobsFile {
  readonly #world: World;
  readonly #path: string;
  #lastGood: readonly Job[] = [];
  #lastMistake = '';

  constructor(world: World, path: string) {
    this.#world = world;
    this.#path = path;
  }

  async create(): Promise<void> {
    if ((await this.#world.disk.stat(this.#path)) === null) {
      await writeDurably(this.#world.disk, this.#path, Buffer.from(TEMPLATE));
    }
  }

  /**
   * For a running agent: a file that somebody is just editing must not stop it. The last good list stays in force and
   * an alarm says why, once for each mistake.
   */
  async current(): Promise<readonly Job[]> {
    try {
      this.#lastGood = await this.read();
      this.#lastMistake = '';
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      if (error.message !== this.#lastMistake) {
        this.#world.monitor.event({ kind: 'alarm', code: error.code, message: error.message });
      }
      this.#lastMistake = error.message;
    }
    return this.#lastGood;
  }

  /** @throws LowtideError `bad-config` with file, line, column and what was expected */
  async read(): Promise<readonly Job[]> {
    return this.#jobsOf(await this.#document());
  }

  /** @throws LowtideError `job-exists`, `bad-schedule`, `bad-zone`, `bad-config` */
  async add(job: Job): Promise<void> {
    const document = await this.#document();
    if (this.#jobsOf(document).some(({ name }) => name === job.name)) {
      throw new LowtideError(
        'job-exists',
        `there is a job ${job.name} already: remove it first, or edit ${this.#path}`,
      );
    }
    let list = document.get('jobs');
    if (!isSeq(list)) document.set('jobs', document.createNode([]));
    list = document.get('jobs');
    if (!isSeq(list)) throw new TypeError('jobs must be a list after it was set');
    list.flow = false;
    list.add(document.createNode(plainJob(job)));
    this.#jobsOf(document);
    await this.#write(document);
  }

  /** @throws LowtideError `no-such-job` */
  async remove(name: string): Promise<void> {
    const document = await this.#document();
    const list = document.get('jobs');
    const at = isSeq(list) ? list.items.findIndex((item) => isMap(item) && item.get('name') === name) : -1;
    if (!isSeq(list) || at === -1) {
      throw new LowtideError('no-such-job', `there is no job ${name} in ${this.#path}`);
    }
    list.items.splice(at, 1);
    await this.#write(document);
  }

  async #document(): Promise<Checked> {
    const bytes = await readWhole(this.#world.disk, this.#path, JOBS_FILE_BYTES_MAX);
    const lines = new LineCounter();
    const document = parseDocument(Buffer.from(bytes).toString('utf8'), {
      lineCounter: lines,
      prettyErrors: false,
    });
    const [error] = document.errors;
    if (error !== undefined) throw this.#bad(lines, error.pos[0], error.message);
    return Object.assign(document, { lines });
  }

  #jobsOf(document: Checked): readonly Job[] {
    const result = fileShape.safeParse(document.toJS() ?? { jobs: [] });
    if (!result.success) {
      const issue = result.error.issues[0]!;
      throw this.#bad(document.lines, positionOf(document, issue.path), expectation(issue));
    }
    return result.data.jobs.map((job, at) =>
      this.#checked(document, at, { ...job, zone: job.zone ?? this.#world.clock.zone }),
    );
  }

  #checked(document: Checked, at: number, job: z.infer<typeof jobShape> & { zone: string }): Job {
    const check = (key: string, work: () => unknown): void => {
      try {
        work();
      } catch (error) {
        throw this.#bad(document.lines, positionOf(document, ['jobs', at, key]), messageOf(error));
      }
    };
    check('backup', () => parseCalendar(job.backup, job.zone));
    check('transfer', () => parseWindows(job.transfer, job.zone));
    check('paths', () => job.paths.map(pathKeyOf));
    check('centers', () => job.centers.map(parseCenterId));
    return { ...job, centers: job.centers.map(parseCenterId) };
  }

  #bad(lines: LineCounter, offset: number, message: string): LowtideError {
    const { line, col } = lines.linePos(offset);
    return new LowtideError('bad-config', `${this.#path}:${line}:${col}: ${message}`);
  }

  async #write(document: Document): Promise<void> {
    await writeDurably(this.#world.disk, this.#path, Buffer.from(document.toString({ lineWidth: 110 })));
  }
}

type Checked = Document & { readonly lines: LineCounter };

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
  if (job.private) plain['private'] = true;
  return plain;
}

/** The character where a value of the file stands; of the thing around it if it is missing. */
function positionOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    const range = (node as YAMLMap | undefined)?.range;
    if (range) return range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function expectation(issue: z.core.$ZodIssue): string {
  const where = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return `unknown key ${issue.keys.join(', ')}: expected one of ${Object.keys(jobShape.shape).join(', ')}`;
  }
  return `${where}: ${issue.message}`;
}
