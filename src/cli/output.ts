import { writeSync } from 'node:fs';
import { errorRegistry, isLowtideError, messageOf } from '../model/errors.ts';
import { plainMessage } from './json-names.ts';
import { type FoldingColumn, foldingTable } from './text.ts';

/** A message of `--json`, docs/json.md: one object a line, printed in snake_case; fields are only ever added. */
export type JsonMessage = { readonly message_type: string } & Readonly<Record<string, unknown>>;

/** Where a verb's result goes: text for people, or one JSON object a line for scripts. */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  /** True when somebody watches: progress lines are for them only. */
  readonly interactive: boolean;

  constructor(options: { json: boolean; quiet: boolean }) {
    this.json = options.json;
    this.quiet = options.quiet;
    this.interactive = process.stderr.isTTY && !options.json && !options.quiet;
  }

  /** For people, unless they asked for quiet: what was done, and how to go on. */
  line(text = ''): void {
    if (!this.json && !this.quiet) write(process.stdout, text + '\n');
  }

  /** For people: what was asked for, so said with --quiet too. */
  result(text: string): void {
    if (!this.json) write(process.stdout, text + '\n');
  }

  /** For people only, and said even with --quiet: warnings and what must be written down. */
  warn(text: string): void {
    if (!this.json) write(process.stderr, text + '\n');
  }

  /** For scripts only. */
  message(message: JsonMessage): void {
    if (this.json) write(process.stdout, JSON.stringify(plainMessage(message)) + '\n');
  }

  /** Rows as a table for people, or each as a message for scripts. */
  table<Row extends object>(
    type: string,
    rows: readonly Row[],
    columns: readonly (FoldingColumn & { readonly text: (row: Row) => string })[],
    empty: string,
  ): void {
    for (const row of rows) this.message({ message_type: type, ...row });
    if (rows.length === 0) return this.line(empty);
    const cells = rows.map((row) => columns.map(({ text }) => text(row)));
    for (const line of foldingTable(columns, cells)) this.result(line);
  }

  /** Answers the exit code. */
  error(error: unknown): number {
    const code = isLowtideError(error) ? error.code : 'crashed';
    const { exit } = errorRegistry[code];
    if (this.json) this.message({ message_type: 'exit_error', code, exit, message: messageOf(error) });
    else if (isLowtideError(error)) write(process.stderr, `lowtide: ${error.message} (${code})\n`);
    else write(process.stderr, `lowtide: this is a bug, please report it: ${errorText(error)}\n`);
    return exit;
  }
}

/** A log whose disk was full goes on when there is room again: a stream that failed once would write nothing more. */
function write(stream: NodeJS.WriteStream & { readonly fd: number }, text: string): void {
  if (!stream.destroyed) return void stream.write(text);
  try {
    writeSync(stream.fd, text);
  } catch {
    // As before: there is nobody to tell.
  }
}

function errorText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
