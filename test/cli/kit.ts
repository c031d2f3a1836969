import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type { ErrorCode } from '../../src/model/errors.ts';

/** The real binary, run as people run it. */
export const LOWTIDE = join(import.meta.dirname, '../../bin/lowtide');
const PASSWORD = 'correct horse battery staple';

/** One line of `--json`: only the fields that a message's type has are there. */
export interface Message {
  readonly [field: string]: unknown;
  readonly message_type: string;
  readonly kind: string;
  readonly id: string;
  readonly job: string;
  readonly name: string;
  readonly label: string;
  readonly path: string;
  readonly code: string;
  readonly message: string;
  readonly snapshot: string;
  readonly token: string;
  readonly text: string;
  readonly change: string;
  readonly type: string;
  readonly state: string;
  readonly level: string;
  readonly phase: string;
  readonly files: number;
  readonly size_bytes: number;
  readonly bytes: number;
  readonly sequence: number;
  readonly problems: number;
  readonly unchanged: number;
  readonly stored_bytes: number;
  readonly errors: number;
  readonly added: number;
  readonly connected: boolean;
  readonly by_source: readonly { readonly name: string; readonly bytes: number }[];
  readonly object: { readonly id: string; readonly sealed: string & { readonly roots: readonly string[] } };
  readonly protection: { readonly level: string; readonly remarks: readonly { readonly kind: string }[] };
  readonly spool: { readonly bytes: number; readonly quota: number };
  readonly copies: readonly { readonly phase: string; readonly code: string }[];
  readonly history: readonly {
    readonly what: string;
    readonly address: string | null;
    readonly bytes: number;
  }[];
}

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Of `--json`. */
  readonly messages: readonly Message[];
  readonly message: (type: string) => Message;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
}

/** Without anything of the caller's own that could find its way in. */
function environment(more: RunOptions['env'] = {}): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env;
  return { PATH, HOME, TZ: 'UTC', XDG_DATA_HOME: '/nonexistent', LOWTIDE_PASSWORD: PASSWORD, ...more };
}

export async function lowtide(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { env, cwd = process.cwd() } = options;
  const child = spawn(LOWTIDE, args, { env: environment(env), cwd });
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)];
  const exit = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
  return ranOf(exit, await stdout, await stderr);
}

function ranOf(exit: number, stdout: string, stderr: string): Ran {
  const lines = stdout.split('\n').filter((line) => line.startsWith('{"message_type"'));
  const messages = lines.map((line) => JSON.parse(line) as Message);
  const message = (type: string): Message => {
    const found = messages.find(({ message_type }) => message_type === type);
    assert.ok(found, `no message ${type} in: ${stdout}${stderr}`);
    return found;
  };
  return { exit, stdout, stderr, messages, message };
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** Runs a verb with `--json` that must succeed. */
export async function ok(
  args: readonly string[],
  options: RunOptions & { exit?: number } = {},
): Promise<Ran> {
  const ran = await lowtide([...args, '--json'], options);
  assert.equal(ran.exit, options.exit ?? 0, `lowtide ${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
  for (const line of ran.stdout.split('\n'))
    if (line !== '') assert.ok(line.startsWith('{"message_type":'), line);
  return ran;
}

/**
 * Runs a verb that must fail: with this code, one sentence on stderr that fits.
 * @param exit 1 unless told
 */
export async function fails(
  code: ErrorCode,
  sentence: RegExp,
  args: readonly string[],
  options: RunOptions & { exit?: number } = {},
): Promise<Ran> {
  const ran = await lowtide(args, options);
  assert.equal(ran.exit, options.exit ?? 1, `lowtide ${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
  const said = ran.stderr.split('\n').filter((line) => line.startsWith('lowtide: '));
  assert.equal(said.length, 1, ran.stderr);
  const [line = ''] = said;
  assert.ok(line.endsWith(` (${code})`), line);
  assert.match(line, sentence);
  assert.doesNotMatch(ran.stderr, /\n {4}at /, 'a stack is for bugs');
  return ran;
}

type Ending = () => Promise<void>;

/** Who ends what a test began: a test's context, or a suite that collects endings. */
export interface Ends {
  readonly after: (end: Ending) => void;
}

/** Of a suite whose steps stand on each other: what began last ends first, after its last test. */
export function endsOfSuite(): Ends {
  const endings: Ending[] = [];
  after(async () => {
    for (const end of endings.toReversed()) await end();
  });
  return { after: (end) => void endings.push(end) };
}

/** A folder that goes with the test. */
export async function scratch(t: Ends): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lowtide-cli-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A new recovery sheet of a depot, in `file`. */
export async function sheetFor(depot: readonly string[], file: string): Promise<string> {
  const { message } = await ok(['key', 'add', 'recovery', ...depot]);
  await writeFile(file, message('recovery_sheet').text);
  return file;
}

/** Five files, of which one is large, two have one content, and one has a difficult name. */
export async function smallTree(folder: string): Promise<string> {
  const root = join(folder, 'files');
  await mkdir(join(root, 'sub', 'deep'), { recursive: true });
  await writeFile(join(root, 'a.txt'), 'alpha\n');
  await writeFile(join(root, 'sub', 'b.txt'), 'beta\n'.repeat(100_000));
  await writeFile(join(root, 'sub', 'deep', 'same.txt'), 'alpha\n');
  await writeFile(join(root, 'big.bin'), pseudoRandom(1_500_000));
  await writeFile(Buffer.concat([Buffer.from(`${root}/odd-`), Buffer.from([0xff])]), 'odd');
  await symlink('a.txt', join(root, 'link'));
  return root;
}

/** Bytes that do not compress, the same in every run. */
function pseudoRandom(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 12_345;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    bytes[at] = state >> 16;
  }
  return bytes;
}

/** A daemon of the real binary; its events come as messages. */
export class Daemon {
  readonly args: readonly string[];
  readonly messages: Message[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  readonly #ears = new Set<() => void>();
  stderr = '';

  constructor(args: readonly string[], env?: RunOptions['env']) {
    this.args = args;
    this.#child = spawn(LOWTIDE, [...args, '--json'], {
      env: environment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let rest = '';
    this.#child.stdout!.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop()!;
      for (const line of lines) this.messages.push(JSON.parse(line) as Message);
      for (const ear of this.#ears) ear();
    });
    this.#child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.#ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(code ?? -1)));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The first message, said already or to come, of this kind of event. */
  async event(kind: string, fits: (message: Message) => boolean = () => true): Promise<Message> {
    const found = (): Message | undefined =>
      this.messages.find((message) => message['kind'] === kind && fits(message));
    return await new Promise((resolve, reject) => {
      const done = (): void => {
        this.#ears.delete(look);
        clearTimeout(timer);
      };
      const look = (): void => {
        const message = found();
        if (message === undefined) return;
        done();
        resolve(message);
      };
      const timer = setTimeout(() => {
        done();
        reject(
          new Error(
            `no ${kind} from ${this.args.join(' ')}: ${JSON.stringify(this.messages)} ${this.stderr}`,
          ),
        );
      }, 20_000);
      this.#ears.add(look);
      look();
    });
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Its exit code. */
  async ended(): Promise<number> {
    return await this.#ended;
  }

  async stop(): Promise<number> {
    this.signal('SIGTERM');
    return await this.#ended;
  }
}

/** Starts a daemon, waits until it runs, and ends it with the test. */
export async function running(t: Ends, args: readonly string[], env?: RunOptions['env']): Promise<Daemon> {
  const daemon = new Daemon(args, env);
  t.after(async () => {
    daemon.signal('SIGKILL');
    await daemon.ended();
  });
  await daemon.event('started');
  return daemon;
}

export async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(address !== null && typeof address === 'object');
  return `127.0.0.1:${address.port}`;
}

export interface CenterFolder {
  readonly data: string;
  readonly address: string;
  /** A token for one computer. */
  token(...options: readonly string[]): Promise<string>;
}

export async function makeCenter(folder: string, ...options: readonly string[]): Promise<CenterFolder> {
  const data = join(folder, 'center');
  const address = await freeAddress();
  const where = ['--data', data, '--listen', address, '--address', address];
  await ok(['center', 'init', '--name', 'tokyo', ...where, ...options]);
  const token = async (...more: readonly string[]): Promise<string> => {
    const { message } = await ok(['center', 'token', '--data', data, '--name', 'ann', ...more]);
    return message('token').token;
  };
  return { data, address, token };
}

/** Bytes of a center's packs. */
export async function storedBytes({ data }: CenterFolder): Promise<number> {
  const names = await readdir(join(data, 'store', 'packs'), { recursive: true });
  const sizes = names.map(async (name) => {
    const found = await stat(join(data, 'store', 'packs', name));
    return found.isFile() ? found.size : 0;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** The arguments that make a relay on a free address of this machine. */
export async function relayInit(name: string, ...options: readonly string[]): Promise<string[]> {
  const address = await freeAddress();
  return ['relay', 'init', name, '--listen', address, '--address', address, ...options];
}
