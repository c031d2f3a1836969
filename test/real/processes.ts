import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';

export const REPOSITORY = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');
export const LOWTIDE = join(REPOSITORY, 'bin', 'lowtide');

/** One line of `--json`. */
export type Line = { readonly message_type: string } & Readonly<Record<string, unknown>>;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** Nothing of who runs the tests may reach the program: no data folder, no password of theirs. */
export function cleanEnv(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('LOWTIDE_') && !name.startsWith('NODE_'),
  );
  return { ...Object.fromEntries(own), ...extra };
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes that are no failure; 0 alone if left out. */
  readonly exits?: readonly number[];
  readonly input?: string;
  /** Another user, where the tests run as root. */
  readonly uid?: number;
  readonly cwd?: string;
  /** It is ended then. */
  readonly timeoutMs?: number;
  readonly onStart?: (child: ChildProcess) => void;
}

/** Runs a program to its end. @throws Error with all that it said, for an exit code that was not expected */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const { env = {}, exits = [0], input, uid, cwd, timeoutMs, onStart } = options;
  const user = uid === undefined ? {} : { uid, gid: uid };
  const limits = {
    ...(cwd === undefined ? {} : { cwd }),
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
  };
  const child = spawn(program, args, {
    env: cleanEnv(env),
    stdio: ['pipe', 'pipe', 'pipe'],
    ...user,
    ...limits,
  });
  onStart?.(child);
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const [out, err, end] = await Promise.all([textOf(child.stdout), textOf(child.stderr), endOf(child)]);
  if (end.code === null || !exits.includes(end.code)) {
    const how = end.signal ?? `exit ${end.code}`;
    throw new Error(`${[program, ...args].join(' ')}: ${how}, not ${exits.join(' or ')}\n${out}${err}`);
  }
  return { ...end, out, err };
}

/** The command line of this checkout. */
export const lowtide = (args: readonly string[], options?: RunOptions): Promise<Ended> =>
  run(LOWTIDE, args, options);

/** What `--json` printed. */
export async function lowtideJson(args: readonly string[], options?: RunOptions): Promise<Line[]> {
  return linesOf((await lowtide([...args, '--json'], options)).out);
}

export const linesOf = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString();
}

const endOf = (child: ChildProcess): Promise<Pick<Ended, 'code' | 'signal'>> =>
  new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });

const ALIVE = Symbol('alive');

/** A process that stays: `center run` or `agent run` with `--json`. Its events are kept and can be waited for. */
export class Daemon {
  readonly lines: Line[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  readonly #listeners = new Set<(line: Line | typeof ALIVE) => void>();
  #out = '';
  #err = '';

  /** @param inFront a program and arguments that run it, such as `ip netns exec NAME` */
  constructor(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    inFront: readonly string[] = [],
  ) {
    const [program, ...rest] = [...inFront, LOWTIDE, ...args, '--json'];
    this.#child = spawn(program, rest, {
      env: cleanEnv(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#err += text));
    this.#ended = endOf(this.#child).then((end) => {
      for (const listener of this.#listeners) listener(ALIVE);
      return { ...end, out: this.#out, err: this.#err };
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The event lines so far of one kind. */
  events(kind: string): Line[] {
    return this.lines.filter((line) => line.message_type === 'event' && line['kind'] === kind);
  }

  /**
   * The first line at or after `from` (an index into `lines`) that `wanted` likes.
   * @throws Error when the process ends before, or after `ms`
   */
  async line(wanted: (line: Line) => boolean, ms: number, from = 0): Promise<Line> {
    const known = this.lines.slice(from).find(wanted);
    if (known !== undefined) return known;
    const { promise, resolve, reject } = Promise.withResolvers<Line>();
    const said = (): string => `${this.#out}${this.#err}`;
    const timer = setTimeout(() => reject(new Error(`not said within ${ms} ms:\n${said()}`)), ms);
    const listener = (line: Line | typeof ALIVE): void => {
      if (line === ALIVE) reject(new Error(`the process ended first:\n${said()}`));
      else if (wanted(line)) resolve(line);
    };
    this.#listeners.add(listener);
    try {
      if (!this.running) listener(ALIVE);
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(listener);
    }
  }

  event(kind: string, ms: number, from = 0): Promise<Line> {
    return this.line((line) => line.message_type === 'event' && line['kind'] === kind, ms, from);
  }

  /** As a power cut would: no handler of the process runs. */
  async kill(): Promise<Ended> {
    this.#child.kill('SIGKILL');
    return await this.#ended;
  }

  /** As `systemctl stop` would. @throws Error if it has not ended after `ms` */
  async stop(ms = 20_000): Promise<Ended> {
    this.#child.kill('SIGTERM');
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`does not stop:\n${this.#out}${this.#err}`)), ms);
    });
    try {
      return await Promise.race([this.#ended, late]);
    } finally {
      clearTimeout(timer);
      if (this.running) this.#child.kill('SIGKILL');
    }
  }

  #read(text: string): void {
    const start = this.#out.lastIndexOf('\n') + 1;
    this.#out += text;
    const end = this.#out.lastIndexOf('\n') + 1;
    if (end <= start) return;
    for (const line of linesOf(this.#out.slice(start, end))) {
      this.lines.push(line);
      for (const listener of this.#listeners) listener(line);
    }
  }
}

/** A port on loopback that nobody uses now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A folder with a short name, because the path of a socket is. */
export const newFolder = (name: string): string => mkdtempSync(join(tmpdir(), `lt-${name}-`));

/** Also what was restored read-only. */
export function removeFolder(folder: string): void {
  execFileSync('chmod', ['-R', 'u+rwX', folder]);
  rmSync(folder, { recursive: true, force: true });
}
