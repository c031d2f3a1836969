import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { LowtideError } from '../model/errors.ts';
import type { Monitor } from '../world/ports.ts';
import type { RealWorld } from '../world/real-world.ts';
import { Output } from './output.ts';

/** What every verb gets: its world, its output, and the signal that Ctrl-C, SIGTERM and the end of its terminal abort. */
export interface Context {
  readonly world: RealWorld;
  readonly output: Output;
  /** Aborts with LowtideError `interrupted`. */
  readonly stop: AbortSignal;
  /** Takes the progress line away, so that something else can be written. */
  readonly clearProgress: () => void;
}

export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Where a verb's events, problems and progress go. */
export interface VerbMonitor extends Monitor {
  finish(): void;
}

/**
 * Runs a verb and sets the process's exit code. A second Ctrl-C does not wait.
 * @param monitorFor what long work is shown on; else the terminal
 */
export async function runVerb(
  options: CommonOptions,
  verb: (context: Context) => Promise<number | void>,
  monitorFor?: (output: Output) => VerbMonitor,
): Promise<void> {
  const { realWorld } = await import('../world/real-world.ts');
  const { TerminalMonitor } = await import('./terminal-monitor.ts');
  const output = new Output({ json: options.json ?? false, quiet: options.quiet ?? false });
  const monitor = monitorFor?.(output) ?? new TerminalMonitor(output);
  const world = realWorld({ monitor });
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort(new LowtideError('interrupted', 'interrupted'));
  };
  // Node undoes what `nohup` asks for: whose output goes elsewhere stays when its terminal closes.
  const onHangup = process.stdout.isTTY ? onSignal : (): void => {};
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onHangup);
  const clearProgress = (): void => monitor.finish();
  try {
    process.exitCode = (await verb({ world, output, stop: stop.signal, clearProgress })) ?? 0;
  } catch (error) {
    monitor.finish();
    process.exitCode = output.error(error);
  } finally {
    monitor.finish();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('SIGHUP', onHangup);
    await world.close();
  }
}

export type Role = 'agent' | 'center' | 'relay';

/** `--data`, LOWTIDE_DATA, or the usual place. */
export function dataFolder(role: Role, given: string | undefined): string {
  const chosen = given ?? process.env['LOWTIDE_DATA'];
  return chosen === undefined || chosen === '' ? usualFolder(role) : resolve(chosen);
}

export const isRoot = (): boolean => process.getuid?.() === 0;

/** /var/lib for root, XDG for people. */
export function usualFolder(role: Role): string {
  if (isRoot()) return `/var/lib/lowtide/${role}`;
  const base = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share');
  return join(base, 'lowtide', role);
}

export function absolute(path: string): string {
  return resolve(path);
}
