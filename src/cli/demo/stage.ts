import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ErrorCode, errorRegistry, LowtideError } from '../../model/errors.ts';

/** The command line itself, as everybody starts it. */
export const LOWTIDE = join(import.meta.dirname, '../../../bin/lowtide');

const START_MS = 60_000;
const STOP_MS = 20_000;

/** What a command said with `--json`. */
export type Message = { readonly message_type: string } & Readonly<Record<string, unknown>>;

export interface Ran {
  readonly exit: number;
  readonly messages: readonly Message[];
}

/**
 * A temporary folder and the processes that play in it. Whatever happens to this process short of a SIGKILL, nothing of
 * both is left behind.
 */
export class Stage {
  readonly folder: string;
  readonly #daemons = new Map<string, Daemon>();
  readonly #stop: AbortSignal;
  readonly #onExit: () => void;
  #closing = false;

  private constructor(folder: string, stop: AbortSignal) {
    this.folder = folder;
    this.#stop = stop;
    this.#onExit = () => {
      for (const daemon of this.#daemons.values()) daemon.kill();
      rmSync(folder, { recursive: true, force: true });
    };
    process.on('exit', this.#onExit);
  }

  static async open(stop: AbortSignal): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), 'lowtide-demo-')), stop);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Runs a verb to its end. @throws LowtideError what it failed with */
  async run(...args: readonly string[]): Promise<Ran> {
    const child = start(args);
    const onStop = (): void => void child.kill('SIGTERM');
    this.#stop.addEventListener('abort', onStop, { once: true });
    const messages: Message[] = [];
    listen(child, (message) => messages.push(message));
    const exit = await ended(child);
    this.#stop.removeEventListener('abort', onStop);
    this.#stop.throwIfAborted();
    const failure = messages.find(({ message_type }) => message_type === 'exit_error');
    if (failure !== undefined) throw errorOf(failure);
    if (exit !== 0 && exit !== 3)
      throw new LowtideError('crashed', `lowtide ${args[0]} ended with code ${exit}`);
    return { exit, messages };
  }

  /** Starts a daemon and waits until it runs. */
  async start(name: string, args: readonly string[], hear: (message: Message) => void): Promise<Daemon> {
    const daemon = new Daemon(name, args, (message) => {
      if (!this.#closing) hear(message);
    });
    this.#daemons.set(name, daemon);
    await daemon.until(({ message_type, kind }) => message_type === 'event' && kind === 'started', {
      stop: this.#stop,
      ms: START_MS,
    });
    return daemon;
  }

  /** Asks a daemon to stop and waits until it has. */
  async stop(name: string): Promise<void> {
    const daemon = this.#daemons.get(name);
    this.#daemons.delete(name);
    await daemon?.end();
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#daemons.keys()].map((name) => this.stop(name)));
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
    process.off('exit', this.#onExit);
  }
}

/** A node that runs in a process of its own. */
export class Daemon {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  readonly #waiting = new Set<{ fits: (message: Message) => boolean; resolve: () => void }>();
  #failure: LowtideError | null = null;

  constructor(name: string, args: readonly string[], hear: (message: Message) => void) {
    this.#name = name;
    this.#child = start(args);
    listen(this.#child, (message) => {
      if (message.message_type === 'exit_error') this.#failure = errorOf(message);
      hear(message);
      for (const waiting of this.#waiting) if (waiting.fits(message)) waiting.resolve();
    });
    this.#ended = ended(this.#child);
  }

  /** Until it says something that fits. @throws LowtideError if it ends or does not say so in time */
  async until(
    fits: (message: Message) => boolean,
    { stop, ms }: { readonly stop: AbortSignal; readonly ms: number },
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = { fits, resolve };
    this.#waiting.add(waiting);
    const late = (): void => reject(new LowtideError('crashed', `the ${this.#name} is not heard of`));
    const timer = Number.isFinite(ms) ? setTimeout(late, ms) : undefined;
    const onStop = (): void => reject(stop.reason as Error);
    stop.addEventListener('abort', onStop, { once: true });
    const died = this.#ended.then((exit) => {
      throw this.#failure ?? new LowtideError('crashed', `the ${this.#name} ended with code ${exit}`);
    });
    try {
      stop.throwIfAborted();
      await Promise.race([promise, died]);
    } finally {
      clearTimeout(timer);
      stop.removeEventListener('abort', onStop);
      this.#waiting.delete(waiting);
      died.catch(() => {});
    }
  }

  async end(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), STOP_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** In a process group of its own: Ctrl-C in the terminal is for the demo, which then stops its nodes in order. */
function start(args: readonly string[]): ChildProcess {
  const env = Object.entries(process.env).filter(([name]) => !name.startsWith('LOWTIDE_'));
  return spawn(LOWTIDE, [...args, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
    env: Object.fromEntries(env),
  });
}

function listen(child: ChildProcess, hear: (message: Message) => void): void {
  createInterface({ input: child.stdout! }).on('line', (line) => hear(JSON.parse(line) as Message));
}

/** Its exit code once its output has been read. */
function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(new LowtideError('crashed', `cannot start ${LOWTIDE}: ${error.message}`)),
    );
    child.once('close', (code) => resolve(code ?? 1));
  });
}

function errorOf({ code, message }: Message): LowtideError {
  const known = Object.hasOwn(errorRegistry, String(code)) ? (code as ErrorCode) : 'crashed';
  return new LowtideError(known, String(message));
}

/** A port of the loopback interface that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(),
      );
    });
  });
}
