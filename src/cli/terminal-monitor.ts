import { createRequire } from 'node:module';
import type * as CliProgress from 'cli-progress';
import type { Event, Problem, Progress } from '../model/events.ts';
import type { Monitor } from '../world/ports.ts';
import type { Output } from './output.ts';
import { bytesText } from '../model/bytes-text.ts';
import { durationText, plural } from './text.ts';

const REFRESH_MS = 200;
/** Of notes with one code: more would hide what matters. `--json` has them all. */
const NOTES_MAX = 10;

/** Shows long work to whoever watches: one progress line, problems as they come, alarms always. */
export class TerminalMonitor implements Monitor {
  readonly #output: Output;
  /** Of the first progress: what came before it is not the work's own pace. */
  #startedAt: number | null = null;
  #bar: CliProgress.SingleBar | null = null;
  #shownAt = -Infinity;
  readonly #notes = new Map<string, number>();

  constructor(output: Output) {
    this.#output = output;
  }

  event(event: Event): void {
    this.#output.message({ message_type: 'event', ...event });
    if (event.kind === 'alarm') this.#above(`alarm: ${event.message} (${event.code})`);
  }

  problem(problem: Problem): void {
    this.#output.message({ message_type: 'problem', ...problem });
    const { severity, path, message, code } = problem;
    const where = path === '/' ? '' : `${path}: `;
    if (severity === 'error' || where === '') return this.#above(`${severity}: ${where}${message} (${code})`);
    const seen = (this.#notes.get(code) ?? 0) + 1;
    this.#notes.set(code, seen);
    if (seen <= NOTES_MAX) this.#above(`note: ${where}${message} (${code})`);
    else if (seen === NOTES_MAX + 1) this.#above(`note: more of the same (${code})`);
  }

  progress(progress: Progress): void {
    const now = performance.now();
    this.#startedAt ??= now;
    if (now - this.#shownAt < REFRESH_MS) return;
    this.#shownAt = now;
    const seconds = (now - this.#startedAt) / 1000;
    this.#output.message({ message_type: 'status', seconds_elapsed: seconds, ...progress });
    if (this.#output.interactive) this.#show(progress, seconds);
  }

  /** Takes the progress line away: what comes after it is the result. */
  finish(): void {
    this.#bar?.stop();
    this.#bar = null;
  }

  #show(progress: Progress, seconds: number): void {
    const { doing, files, bytes, bytesTotal } = progress;
    const rate = seconds > 0 ? bytes / seconds : 0;
    const left =
      bytesTotal === undefined || rate === 0
        ? ''
        : `  ${durationText(((bytesTotal - bytes) / rate) * 1000)} left`;
    const share = bytesTotal === undefined || bytesTotal === 0 ? '' : ` of ${bytesText(bytesTotal)}`;
    const text = `${doing}  ${plural(files, 'file')}  ${bytesText(bytes)}${share}  ${bytesText(Math.round(rate))}/s${left}`;
    this.#bar ??= this.#start();
    this.#bar.update(bytes, { text });
  }

  /** Loaded for those who watch. */
  #start(): CliProgress.SingleBar {
    const { SingleBar } = createRequire(import.meta.url)('cli-progress') as typeof CliProgress;
    const bar = new SingleBar({
      format: '{text}',
      clearOnComplete: true,
      hideCursor: true,
      stopOnComplete: false,
    });
    bar.start(1, 0, { text: '' });
    return bar;
  }

  #above(text: string): void {
    this.finish();
    this.#output.warn(text);
  }
}
