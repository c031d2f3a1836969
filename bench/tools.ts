import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { LOWTIDE, run } from '../test/real/processes.ts';

/** A backup program with a repository on this disk. What it is given as arguments is measured as a whole process. */
export interface Tool {
  readonly name: string;
  readonly version: string;
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  /** Not measured. */
  init(repository: string): Promise<void>;
  backup(repository: string, tree: string, number: number): readonly string[];
  /** Of the newest backup; null: it has no such command that this tool knows. */
  restore(repository: string, target: string, number: number): readonly string[] | null;
  /** Where a restore must run, if not anywhere. */
  readonly restoresHere?: boolean;
}

export interface Missing {
  readonly name: string;
  readonly why: string;
}

const PASSWORD = 'measured';

/** The path of a program, or null. @param peers a folder with programs that are in no PATH */
export function finder(peers: string | null): (program: string) => string | null {
  const places = [...(peers === null ? [] : [peers]), ...(process.env['PATH'] ?? '').split(':')];
  return (program) => places.map((place) => join(place, program)).find((path) => existsSync(path)) ?? null;
}

/** The programs that are here, and those that are not. @param peers as for `finder` */
export async function findTools(
  scratch: string,
  peers: string | null,
): Promise<{ readonly tools: readonly Tool[]; readonly missing: readonly Missing[] }> {
  const find = finder(peers);
  const tools: Tool[] = [lowtideTool()];
  const missing: Missing[] = [];
  const makers = { restic, rustic, borg, kopia };
  for (const [name, make] of Object.entries(makers)) {
    const program = find(name);
    if (program === null) missing.push({ name, why: 'not installed' });
    else tools.push(await make(program, scratch));
  }
  return { tools, missing };
}

const firstLine = async (program: string, ...args: string[]): Promise<string> =>
  (await run(program, args)).out.trim().split('\n')[0]!;

function lowtideTool(): Tool {
  const env = { LOWTIDE_PASSWORD: PASSWORD };
  return {
    name: 'lowtide',
    version: 'lowtide of this checkout',
    program: LOWTIDE,
    env,
    init: async (repository) => void (await run(LOWTIDE, ['init', repository], { env })),
    backup: (repository, tree) => ['backup', tree, '--depot', repository],
    restore: (repository, target) => ['restore', 'latest', '--to', target, '--depot', repository],
  };
}

async function restic(program: string, scratch: string): Promise<Tool> {
  const env = { RESTIC_PASSWORD: PASSWORD, RESTIC_CACHE_DIR: join(scratch, 'restic-cache') };
  return {
    name: 'restic',
    version: await firstLine(program, 'version'),
    program,
    env,
    init: async (repository) =>
      void (await run(program, ['--repo', repository, 'init', '--repository-version', '2'], { env })),
    backup: (repository, tree) => ['--repo', repository, 'backup', tree],
    restore: (repository, target) => ['--repo', repository, 'restore', 'latest', '--target', target],
  };
}

async function rustic(program: string, scratch: string): Promise<Tool> {
  const env = { RUSTIC_PASSWORD: PASSWORD, RUSTIC_CACHE_DIR: join(scratch, 'rustic-cache'), HOME: scratch };
  return {
    name: 'rustic',
    version: await firstLine(program, '--version'),
    program,
    env,
    init: async (repository) => void (await run(program, ['-r', repository, 'init'], { env })),
    backup: (repository, tree) => ['-r', repository, 'backup', tree],
    restore: (repository, target) => ['-r', repository, 'restore', 'latest', target],
  };
}

async function borg(program: string, scratch: string): Promise<Tool> {
  const env = { BORG_PASSPHRASE: PASSWORD, BORG_BASE_DIR: join(scratch, 'borg-base') };
  return {
    name: 'borg',
    version: await firstLine(program, '--version'),
    program,
    env,
    init: async (repository) =>
      void (await run(program, ['init', '--encryption', 'repokey-blake2', repository], { env })),
    backup: (repository, tree, number) => ['create', `${repository}::${number}`, tree],
    restore: (repository, _target, number) => ['extract', `${repository}::${number}`],
    restoresHere: true,
  };
}

async function kopia(program: string, scratch: string): Promise<Tool> {
  const config = join(scratch, 'kopia.config');
  const env = {
    KOPIA_PASSWORD: PASSWORD,
    KOPIA_CONFIG_PATH: config,
    KOPIA_CACHE_DIRECTORY: join(scratch, 'kopia-cache'),
    HOME: scratch,
  };
  return {
    name: 'kopia',
    version: `kopia ${await firstLine(program, '--version')}`,
    program,
    env,
    async init(repository) {
      mkdirSync(repository, { recursive: true });
      await run(program, ['repository', 'create', 'filesystem', '--path', repository], { env });
    },
    backup: (_repository, tree) => ['snapshot', 'create', tree],
    restore: () => null,
  };
}
