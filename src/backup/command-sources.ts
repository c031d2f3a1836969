import { LowtideError } from '../model/errors.ts';
import { checkName, displayPath, joinPath, ROOT_PATH, type ByteName, type PathKey } from '../model/paths.ts';
import type { CapturedOutput, Commands, Files, ScannedEntry, World } from '../world/ports.ts';
import { listByScan } from './walk/lists-ahead.ts';

/** A command whose output is backed up as the file `/NAME`. */
export interface SourceCommand {
  readonly name: string;
  readonly words: readonly string[];
}

export interface CommandOptions {
  /** Where the outputs are kept until they are backed up. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number | null;
  readonly stop: AbortSignal;
}

/** A world in which the outputs are files. */
export interface CommandWorld {
  readonly world: World;
  /** Roots for the backup. */
  readonly paths: readonly PathKey[];
  readonly close: () => void;
}

const PRIVATE = 0o600;
const NANOS_PER_MILLI = 1_000_000n;

/**
 * Runs the commands, one after another, and gives a world that has their outputs as files in `/`. The output of a
 * command that failed cannot be read there: so it is left out of the snapshot, listed and counted, as any file would be.
 * @param alone nothing else is backed up
 * @throws LowtideError `command-failed` if all have failed and nothing else is backed up; `bad-name`, `interrupted`
 */
export async function withCommandSources(
  world: World,
  commands: readonly SourceCommand[],
  options: CommandOptions,
  alone: boolean,
): Promise<CommandWorld> {
  if (commands.length === 0) return { world, paths: [], close: () => {} };
  const outputs = new Map<PathKey, Output>();
  const close = (): void => {
    for (const { captured } of outputs.values()) captured?.close();
  };
  try {
    for (const command of commands) {
      const path = pathOf(command, outputs);
      outputs.set(path, await outputOf(world, command, options));
    }
    const failed = [...outputs.values()].map(({ failure }) => failure).filter((failure) => failure !== null);
    if (alone && failed.length === outputs.size) throw new LowtideError('command-failed', failed[0]!);
  } catch (error) {
    close();
    throw error;
  }
  return { world: { ...world, files: filesWith(world.files, outputs) }, paths: [...outputs.keys()], close };
}

interface Output {
  readonly entry: ScannedEntry;
  /** Null if the command failed. */
  readonly captured: CapturedOutput | null;
  readonly failure: string | null;
}

function pathOf({ name }: SourceCommand, others: ReadonlyMap<PathKey, unknown>): PathKey {
  const bytes = Buffer.from(name, 'utf8').toString('latin1') as ByteName;
  const path = joinPath(ROOT_PATH, checkName(bytes));
  if (!others.has(path)) return path;
  throw new LowtideError('bad-name', `two commands have the name ${name}: give each its own`);
}

async function outputOf(world: World, command: SourceCommand, options: CommandOptions): Promise<Output> {
  const { directory, environment, timeoutMs, stop } = options;
  const captured = await commandsOf(world).capture(
    { words: command.words, environment, timeoutMs, stop },
    directory,
  );
  const { end, stat } = captured;
  if (stop.aborted) {
    captured.close();
    throw new LowtideError('interrupted', 'the backup was stopped: nothing was committed');
  }
  const time = BigInt(Math.floor(world.clock.now())) * NANOS_PER_MILLI;
  const name = Buffer.from(command.name, 'utf8').toString('latin1') as ByteName;
  const entry = { ...stat, name, mode: PRIVATE, mtime: time, ctime: time, inode: 0n, links: 1 };
  if (end.ok) return { entry, captured, failure: null };
  captured.close();
  const said = end.said === '' ? '' : `: ${end.said}`;
  const failure = `the command for /${command.name} failed: ${end.how}${said}`;
  // Not empty: an empty file would not even be opened.
  return { entry: { ...entry, size: 1, allocated: 1 }, captured: null, failure };
}

/** @throws LowtideError `command-failed` in a world where nothing can be run */
function commandsOf({ commands }: World): Commands {
  if (commands !== undefined) return commands;
  throw new LowtideError('command-failed', 'no program can be run here');
}

/** Files with the outputs in `/`, where they hide what has the same name. */
function filesWith(files: Files, outputs: ReadonlyMap<PathKey, Output>): Files {
  const scan: Files['scan'] = async (directory) => {
    const scanned = await files.scan(directory);
    if (directory !== ROOT_PATH) return scanned;
    const entries = new Map(scanned.entries.map((entry) => [entry.name, entry]));
    for (const { entry } of outputs.values()) entries.set(entry.name, entry);
    return { ...scanned, entries: [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
  };
  return {
    ...files,
    scan,
    list: async (paths) =>
      files.list === undefined || paths.includes(ROOT_PATH)
        ? await listByScan({ scan }, paths)
        : await files.list(paths),
    lstat: async (path) => outputs.get(path)?.entry ?? (await files.lstat(path)),
    openSource: async (path) => {
      const output = outputs.get(path);
      if (output === undefined) return files.openSource(path);
      if (output.captured === null)
        throw new LowtideError('source-unreadable', output.failure ?? displayPath(path));
      const file = output.captured.open();
      const { entry } = output;
      return {
        read: file.read.bind(file),
        nextData: file.nextData.bind(file),
        close: file.close.bind(file),
        stat: async () => entry,
      };
    },
    attributes: async (directory, entries) => {
      if (directory !== ROOT_PATH) return files.attributes(directory, entries);
      const own = entries.map(({ name }) => outputs.has(name as string as PathKey));
      const others = entries.filter((_, at) => !own[at]);
      const found = [...(others.length === 0 ? [] : await files.attributes(directory, others))];
      return own.map((isOutput) => (isOutput ? { xattrs: [], flags: 0, refused: [] } : found.shift()!));
    },
  };
}
