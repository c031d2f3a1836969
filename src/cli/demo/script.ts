import { readdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, relative } from 'node:path';
import { openReceipt, type Receipt } from '../../format/receipt.ts';
import { Ledger } from '../../ledger/ledger.ts';
import { loadClientIdentity } from '../../identity/client-identity.ts';
import { LowtideError } from '../../model/errors.ts';
import type { Event } from '../../model/events.ts';
import { type SnapshotId, shortId } from '../../model/ids.ts';
import { agentPaths } from '../../node/agent/home.ts';
import { type Context, isRoot } from '../context.ts';
import { describe } from '../log-monitor.ts';
import { bytesText } from '../../model/bytes-text.ts';
import { durationText, plural, secondText, tableLines } from '../text.ts';
import { type Comparison, compareFolders } from './compare-folders.ts';
import { freePort, type Message, type Stage } from './stage.ts';

const CENTER_NAME = 'haven';
const HOUR_MS = 3_600_000;
const SPOOL_DEFAULT = 20 * 2 ** 30;
/** Spool, store and restored copy at once, and some for trees. */
const COPIES = 3.2;

interface Row {
  readonly what: string;
  readonly result: string;
  readonly ms: number;
}

interface FolderSize {
  readonly files: number;
  readonly bytes: number;
}

/** The whole way of one backup, with real processes: what each step did stands in `rows` afterwards. */
export class Script {
  readonly #context: Context;
  readonly #stage: Stage;
  readonly #folder: string;
  readonly #names = new Map<string, string>();
  readonly #rows: Row[] = [];
  #centerArgs: readonly string[] = [];
  /** The agent has freed its spool: that comes after every receipt. */
  #collected: Promise<void> = Promise.resolve();
  #step = 0;

  constructor(context: Context, stage: Stage, folder: string) {
    this.#context = context;
    this.#stage = stage;
    this.#folder = folder;
  }

  get center(): string {
    return this.#stage.path('center');
  }

  get agent(): string {
    return this.#stage.path('agent');
  }

  async play(): Promise<void> {
    const size = await this.#timed('look at the folder', () => this.#measure());
    await this.#timed('center and agent made, joined', () => this.#setUp(size));
    const since = this.#context.world.clock.now();
    const taken = await this.#timed('backup taken into the spool', () => this.#takeWithoutCenter());
    await this.#timed('restored from the spool, no center', () => this.#restoreAndCompare(since));
    await this.#timed('collected, receipted, spool drained', () => this.#collect(taken));
    await this.#timed('restored from the center', () => this.#restoreAndCompare(since));
    this.#summary();
  }

  async #timed<T>(
    what: string,
    work: () => Promise<{ readonly value: T; readonly result: string }>,
  ): Promise<T> {
    const { clock } = this.#context.world;
    const from = clock.monotonic();
    const { value, result } = await work();
    const ms = clock.monotonic() - from;
    this.#rows.push({ what, result, ms });
    this.#context.output.message({ message_type: 'step', what, result, seconds: ms / 1000 });
    return value;
  }

  async #measure() {
    const { output } = this.#context;
    const size = await sizeOf(this.#folder, new Set([this.#stage.folder]), this.#context.stop);
    const { bavail, bsize } = await statfs(this.#stage.folder);
    if (size.bytes * COPIES > bavail * bsize) {
      const what = `the demo needs about ${bytesText(Math.ceil(size.bytes * COPIES))} in ${this.#stage.folder}`;
      throw new LowtideError(
        'disk-full',
        `${what}, and ${bytesText(bavail * bsize)} are free: choose a smaller folder, or set TMPDIR`,
      );
    }
    const result = `${plural(size.files, 'file')}, ${bytesText(size.bytes)}`;
    output.line(`Backing up ${this.#folder} (${result}) with a center and an agent on this machine.`);
    output.line(`Everything is in ${this.#stage.folder}, and goes when the demo ends.`);
    return { value: size, result };
  }

  async #setUp(size: FolderSize) {
    const { world } = this.#context;
    const { zone } = world.clock;
    const address = `127.0.0.1:${await freePort()}`;
    const window = openWindow(world.clock.now(), zone);
    this.#title(`A center that collects ${window} (${zone}), and a token for one computer`);
    const init = [
      '--name',
      CENTER_NAME,
      '--windows',
      window,
      '--zone',
      zone,
      '--listen',
      address,
      '--address',
      address,
    ];
    const [{ messages: made }] = [await this.#run('center', 'init', '--data', this.center, ...init)];
    this.#names.set(String(made[0]?.['center']), CENTER_NAME);
    this.#centerArgs = ['center', 'run', '--data', this.center];
    await this.#startCenter();
    const { messages: tokens } = await this.#run(
      'center',
      'token',
      '--data',
      this.center,
      '--name',
      hostname(),
    );
    this.#title('An agent that joins it; the recovery sheet is for the safe');
    const sheet = this.#stage.path('recovery-sheet.txt');
    const token = String(tokens[0]?.['token']);
    this.#say(`lowtide agent join TOKEN --data ${this.agent} --sheet-file ${sheet}`);
    const { messages: joined } = await this.#stage.run(
      'agent',
      'join',
      token,
      '--data',
      this.agent,
      '--sheet-file',
      sheet,
    );
    this.#names.set(String(joined[0]?.['client']), hostname());
    if (size.bytes * 2 > SPOOL_DEFAULT)
      await writeFile(agentPaths(this.agent).config, `spool: ${size.bytes * 2}\n`);
    const job = ['--backup', 'daily 22:00', '--transfer', window, '--zone', zone, '--no-exclude-caches'];
    await this.#run('job', 'add', 'demo', this.#folder, '--data', this.agent, ...job, ...this.#ownExcludes());
    const args = ['agent', 'run', '--data', this.agent];
    this.#say(`lowtide ${args.join(' ')}`);
    const agent = await this.#stage.start('agent', args, (message) => this.#hear('agent', message));
    const { stop } = this.#context;
    this.#collected = agent.until((message) => message['kind'] === 'freed', { stop, ms: Infinity });
    this.#collected.catch(() => {});
    return { value: null, result: `window ${window} ${zone}` };
  }

  async #startCenter(): Promise<void> {
    this.#say(`lowtide ${this.#centerArgs.join(' ')}`);
    await this.#stage.start('center', this.#centerArgs, (message) => this.#hear('center', message));
  }

  /** The demo's own files may be within the folder. */
  #ownExcludes(): string[] {
    const inside = relative(this.#folder, this.#stage.folder);
    return inside.startsWith('..') ? [] : ['--exclude', `/${inside}/`];
  }

  async #takeWithoutCenter() {
    this.#title('A backup into the spool, while the center is down');
    await this.#stage.stop('center');
    const { messages } = await this.#run('job', 'run', 'demo', '--data', this.agent);
    const summary = messageOf(messages, 'summary');
    const snapshot = String(summary['snapshot']) as SnapshotId;
    const { messages: status } = await this.#run('status', '--data', this.agent);
    const { level } = messageOf(status, 'job')['protection'] as { readonly level: string };
    this.#note(`the job is ${level === 'none' ? 'NOT PROTECTED: only the spool has it' : level}`);
    const stored = bytesText(Number(summary['stored_bytes']));
    const problems = Number(summary['problems']);
    const unread = problems === 0 ? '' : `, ${plural(problems, 'entry', 'entries')} unreadable`;
    return { value: snapshot, result: `snapshot ${shortId(snapshot)}, ${stored} sealed${unread}` };
  }

  async #restoreAndCompare(since: number) {
    const { stop } = this.#context;
    const target = this.#stage.path('restored');
    this.#title('Everything restored and compared with the original, entry by entry');
    const { messages } = await this.#run('restore', 'latest', '--data', this.agent, '--to', target);
    const sources = messageOf(messages, 'summary')['by_source'] as readonly { name: string; bytes: number }[];
    const used = sources
      .filter(({ bytes }) => bytes > 0)
      .map(({ name, bytes }) => `${bytesText(bytes)} from ${name}`);
    const skip = new Set([this.#stage.folder]);
    const owners = isRoot();
    const copy = join(target, this.#folder);
    const compared = await compareFolders(this.#folder, copy, { since, skip, owners, stop });
    this.#note(comparisonText(compared));
    await rm(target, { recursive: true, force: true });
    if (compared.differenceCount > 0) throw different(compared);
    return {
      value: null,
      result: `${plural(compared.entries, 'entry', 'entries')} equal; ${used.join(', ')}`,
    };
  }

  async #collect(snapshot: SnapshotId) {
    this.#title('The center is back: it orders the agent to send, and receipts what it holds');
    await this.#startCenter();
    // Asking for the status makes the agent try the center again at once.
    await this.#stage.run('status', '--data', this.agent);
    await this.#collected;
    const receipt = await this.#receipt(snapshot);
    const { zone } = this.#context.world.clock;
    this.#note(
      `signed receipt of ${plural(receipt.blocks, 'block')}, ${bytesText(receipt.bytes)}, ` +
        `verified ${secondText(receipt.verifiedAt, zone)} ${zone}`,
    );
    const { messages: ledger } = await this.#run('center', 'ledger', '--data', this.center);
    const row = messageOf(ledger, 'snapshot');
    const at = (field: string): string => secondText(Number(row[field]), zone);
    this.#note(`taken ${at('taken_at')}, arrived ${at('arrived_at')} from ${String(row['address'])}`);
    const { messages: status } = await this.#run('status', '--data', this.agent);
    const spool = messageOf(status, 'agent')['spool'] as { readonly bytes: number };
    if (spool.bytes > 0) throw new LowtideError('wrong-state', `the spool still holds ${spool.bytes} bytes`);
    this.#note('the spool is empty, the job is protected');
    return { value: null, result: `${bytesText(Number(row['new_bytes']))} travelled, receipt signed` };
  }

  /** As the agent keeps it, checked with the key that came with the token. */
  async #receipt(snapshot: SnapshotId): Promise<Receipt> {
    const { world } = this.#context;
    const paths = agentPaths(this.agent);
    const { centers } = await loadClientIdentity(world, paths.identity);
    const ledger = await Ledger.openReadOnly(world, paths.ledger);
    try {
      const copy = await ledger.db
        .selectFrom('copies')
        .select('receipt')
        .where('snapshot', '=', snapshot)
        .executeTakeFirstOrThrow();
      if (copy.receipt === null) throw new LowtideError('wrong-state', 'the agent has no receipt');
      return openReceipt(copy.receipt, centers[0]!.face.receiptKey);
    } finally {
      await ledger.close();
    }
  }

  #summary(): void {
    const { output } = this.#context;
    const total = this.#rows.reduce((sum, { ms }) => sum + ms, 0);
    const rows = [...this.#rows, { what: 'all of it', result: '', ms: total }];
    const columns = [{ title: 'What' }, { title: 'Result' }, { title: 'Time', align: 'right' }] as const;
    output.line('');
    for (const line of tableLines(
      columns,
      rows.map(({ what, result, ms }) => [what, result, durationText(ms)]),
    )) {
      output.result(line);
    }
    output.message({ message_type: 'summary', folder: this.#folder, seconds: total / 1000 });
  }

  async #run(...args: readonly string[]) {
    this.#say(`lowtide ${args.map(quoted).join(' ')}`);
    return await this.#stage.run(...args);
  }

  #title(text: string): void {
    this.#context.output.line('');
    this.#context.output.line(`${++this.#step}. ${text}`);
  }

  #say(command: string): void {
    this.#context.output.line(`   $ ${command}`);
  }

  #note(text: string): void {
    this.#context.output.line(`     ${text}`);
  }

  #hear(who: string, message: Message): void {
    if (message.message_type !== 'event') return;
    const event = message as unknown as Event;
    const text = describe(event, (id) => this.#names.get(id) ?? shortId(id));
    this.#context.output.line(`     ${who.padEnd(6)} | ${event.kind.padEnd(12)} ${text}`);
  }
}

function messageOf(messages: readonly Message[], type: string): Message {
  const found = messages.find(({ message_type }) => message_type === type);
  if (found === undefined) throw new TypeError(`a command said nothing of type ${type}`);
  return found;
}

const quoted = (word: string): string =>
  /^[\w./:=@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** Full hours around now: open, and for a while. */
function openWindow(now: number, zone: string): string {
  const hour = (at: number): string =>
    `${String(Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone).hour).padStart(2, '0')}:00`;
  return `${hour(now - HOUR_MS)}-${hour(now + 3 * HOUR_MS)}`;
}

function comparisonText({ entries, files, bytes, differenceCount, changed, unreadable }: Comparison): string {
  const notes = [
    ...(changed > 0 ? [`${plural(changed, 'entry', 'entries')} changed since`] : []),
    ...(unreadable > 0 ? [`${unreadable} not readable by you`] : []),
  ];
  const all = `${plural(entries, 'entry', 'entries')} compared (${plural(files, 'file')}, ${bytesText(bytes)}): ${plural(differenceCount, 'difference')}`;
  return notes.length === 0 ? all : `${all}; ${notes.join(', ')}`;
}

function different({ differences, differenceCount }: Comparison): LowtideError {
  return new LowtideError(
    'verify-failed',
    `${plural(differenceCount, 'difference')}: ${differences.join('; ')}`,
  );
}

/** @throws LowtideError `source-missing` */
async function sizeOf(folder: string, skip: ReadonlySet<string>, stop: AbortSignal): Promise<FolderSize> {
  const found = await stat(folder).catch(() => null);
  if (found?.isDirectory() !== true) throw new LowtideError('source-missing', `${folder} is not a folder`);
  let files = 0;
  let bytes = 0;
  const open = [folder];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    stop.throwIfAborted();
    for (const entry of await readdir(at, { withFileTypes: true }).catch(() => [])) {
      const path = join(at, entry.name);
      if (entry.isDirectory() && !skip.has(path)) open.push(path);
      if (!entry.isFile()) continue;
      files++;
      bytes += (await stat(path).catch(() => null))?.size ?? 0;
    }
  }
  return { files, bytes };
}
