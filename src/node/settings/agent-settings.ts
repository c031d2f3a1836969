import { z } from 'zod';
import { LowtideError, messageOf } from '../../model/errors.ts';
import type { World } from '../../world/ports.ts';
import { type Compression, COMPRESSION_LEVELS } from './compression.ts';
import { allowShape, checkNotWhile, wordsShape } from './strain-settings.ts';
import { YamlFile } from './yaml-file.ts';

/** What the owner of a machine decides beside its jobs: `agent.yaml` in the agent's data folder. */
export interface AgentConfig {
  readonly spoolBytes: number;
  readonly compression: Compression;
  /** Transfers give way to everything else on their line. */
  readonly yield: boolean;
  /** Programs that jobs may run: paths, or folders with a slash at the end. */
  readonly allow: readonly string[];
  /** Programs with their arguments: while one of them ends with status 0, nothing is sent. */
  readonly notWhile: readonly (readonly string[])[];
}

const TEMPLATE = `# Settings of this machine's agent; its jobs are in jobs.yaml. A running agent sees changes within a minute.

# How much uncollected backup may wait here. A backup that is larger goes in parts; nothing is dropped to make room.
spool: 20 GiB
# How hard to compress: off, fast, default, max.
compression: default
# Whether transfers give way to everything else on the line: they slow down when answers begin to take longer.
yield: false
# Programs that jobs may run as hooks and commands: paths, or folders with a slash at the end. Nothing else is run.
allow: []
# Programs that say whether the line is needed for something else: while one ends with status 0, nothing is sent. They have
# to be named in allow too.
# notWhile:
#   - [/usr/bin/pgrep, -x, zoom]
`;

const levels = Object.keys(COMPRESSION_LEVELS) as Compression[];
const shape = z.strictObject({
  spool: z.union([z.string(), z.number()], 'expected a size such as 20 GiB').default('20 GiB'),
  compression: z.enum(levels, `expected one of ${levels.join(', ')}`).default('default'),
  yield: z.boolean().default(false),
  allow: allowShape,
  notWhile: z.array(wordsShape).default([]),
});

const fileOf = (world: World, path: string): YamlFile<z.infer<typeof shape>> =>
  new YamlFile(world, path, shape, () => Object.keys(shape.shape));

export async function createAgentConfig(world: World, path: string): Promise<void> {
  await fileOf(world, path).create(TEMPLATE);
}

/** @throws LowtideError `bad-config` with file, line, column and what was expected; `not-found` */
export async function readAgentConfig(world: World, path: string): Promise<AgentConfig> {
  const read = await fileOf(world, path).read();
  const { spool, ...rest } = read.value;
  checkNotWhile(read);
  try {
    return { spoolBytes: parseSize(String(spool)), ...rest };
  } catch (error) {
    throw read.bad(['spool'], messageOf(error));
  }
}

const UNITS = ['', 'K', 'M', 'G', 'T', 'P'];

/** Bytes of `20 GiB`, `500MB`, `1.5T`, `1048576`. Letters alone count by 1024, as `GiB` does; `GB` counts by 1000. */
export function parseSize(text: string): number {
  const match = /^\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGTP]?)(i?B)?\s*$/i.exec(text);
  if (match === null) {
    throw new LowtideError(
      'bad-request',
      `${JSON.stringify(text)} is not a size: write 20 GiB, 500 MB or 1.5T`,
    );
  }
  const [, number, letter = '', ending = ''] = match;
  const base = ending.toLowerCase() === 'b' ? 1000 : 1024;
  const bytes = Math.floor(Number(number) * base ** UNITS.indexOf(letter.toUpperCase()));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new LowtideError('bad-request', `${JSON.stringify(text)} is more than any disk holds`);
}
