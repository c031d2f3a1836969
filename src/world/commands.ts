import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, mkdtempSync, openSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT_PATH } from '../model/paths.ts';
import { diskError, errnoWords } from './system/errno.ts';
import type { CapturedOutput, Command, CommandEnd, Commands } from './ports.ts';
import { openSourceFile } from './source/source-file.ts';
import { statOf } from './system/stats.ts';

/** Of what a command says on its error output, the end is kept. */
const SAID_MAX = 2000;
/** A program that takes no notice of the first signal gets one that it cannot refuse. */
const GRACE_MS = 5000;

/** Programs of this machine. What one starts is ended with it: each is a process group of its own. */
export function realCommands(): Commands {
  return {
    run: (command) => ended(command, 'ignore'),
    capture: (command, directory) => capture(command, directory),
  };
}

async function capture(command: Command, directory: string): Promise<CapturedOutput> {
  const output = nameless(directory);
  let end: CommandEnd;
  try {
    end = await ended(command, output);
  } catch (error) {
    closeSync(output);
    throw error;
  }
  let open = true;
  return {
    end,
    stat: statOf(fstatSync(output, { bigint: true })),
    open: () => openSourceFile(output, ROOT_PATH, null),
    close: () => {
      if (open) closeSync(output);
      open = false;
    },
  };
}

/** A private file without a name: whatever happens, its disk space is free once it is closed. */
function nameless(directory: string): number {
  try {
    const folder = mkdtempSync(join(directory, '.lowtide-output-'));
    const path = join(folder, randomBytes(8).toString('hex'));
    try {
      const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      unlinkSync(path);
      return file;
    } finally {
      rmdirSync(folder);
    }
  } catch (error) {
    throw diskError(error, 'make a file for the output of a command in', directory);
  }
}

function ended(command: Command, output: number | 'ignore'): Promise<CommandEnd> {
  const { words, environment, timeoutMs, stop } = command;
  const [program = '', ...rest] = words;
  return new Promise((resolve) => {
    const child = spawn(program, rest, {
      stdio: ['ignore', output, 'pipe'],
      detached: true,
      env: { ...process.env, ...environment },
      cwd: '/',
    });
    let said = '';
    let over: 'stopped' | 'too long' | null = null;
    let killing: NodeJS.Timeout | undefined;
    const kill = (signal: NodeJS.Signals): void => signalGroup(child.pid, signal);
    const stopIt = (why: 'stopped' | 'too long'): void => {
      over ??= why;
      kill('SIGTERM');
      killing ??= setTimeout(() => kill('SIGKILL'), GRACE_MS);
    };
    const onStop = (): void => stopIt('stopped');
    const timer = timeoutMs === null ? undefined : setTimeout(() => stopIt('too long'), timeoutMs);
    if (stop.aborted) onStop();
    stop.addEventListener('abort', onStop, { once: true });
    child.stderr?.on('data', (bytes: Buffer) => (said = (said + bytes.toString('utf8')).slice(-SAID_MAX)));
    const finish = (how: string, status: number | null): void => {
      clearTimeout(timer);
      clearTimeout(killing);
      stop.removeEventListener('abort', onStop);
      child.stderr?.destroy();
      // What it has left behind must not go on without anybody waiting for it.
      kill('SIGKILL');
      resolve({
        ok: how === '' && over === null,
        status: over === null ? status : null,
        how: over === null ? how : overWords(over, timeoutMs),
        said: said.trim(),
      });
    };
    child.on('error', (error) => finish(`it could not be started: ${errnoWords(error)}`, null));
    // Not `close`: a process that it has left behind may keep the error output open.
    child.on('exit', (status, signal) => setImmediate(() => finish(endWords(status, signal), status)));
  });
}

/** To a program that leads a process group, and to all that it has started. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}

function endWords(status: number | null, signal: NodeJS.Signals | null): string {
  if (status === 0) return '';
  return status === null ? `it was ended by ${signal}` : `it ended with status ${status}`;
}

function overWords(over: 'stopped' | 'too long', timeoutMs: number | null): string {
  return over === 'stopped'
    ? 'it was stopped'
    : `it took longer than ${(timeoutMs ?? 0) / 1000} s and was ended`;
}
