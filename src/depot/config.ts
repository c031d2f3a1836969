import { createHash } from 'node:crypto';
import { countFrom, having, literal, number, text } from '../format/shape.ts';
import { hexOf } from '../model/bytes.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { readWhole, writeDurably } from '../world/disk/durable.ts';
import type { Disk, World } from '../world/ports.ts';
import { RECORD_DIRECTORIES } from './records.ts';

export const FORMAT = 1;
const CONFIG_BYTES_MAX = 1 << 16;
/** Two copies: a bad sector in so small a file must not cost the depot. */
const NAMES = ['config', 'config.spare'] as const;

/** What makes a directory a depot. */
export interface DepotConfig {
  readonly id: string;
  readonly createdAt: number;
}

const configShape = having({
  lowtide: literal('depot'),
  format: countFrom(1),
  id: text,
  createdAt: number,
  check: text,
});

/** See `Depot.create`. What an earlier, interrupted call left is no obstacle. */
export async function createDepot(world: World, path: string): Promise<void> {
  const { disk } = world;
  const found = await disk.stat(path);
  if (found !== null && (found.kind !== 'directory' || !(await isLeftOver(disk, path)))) {
    throw new LowtideError('depot-exists', `${path} is not empty: a new depot needs an empty directory`);
  }
  await disk.makeDirectory(path);
  const lock = await disk.lock(`${path}/lock`);
  if (lock === null) throw new LowtideError('locked', `somebody else is making a depot at ${path}`);
  try {
    for (const name of ['packs', ...RECORD_DIRECTORIES]) await disk.makeDirectory(`${path}/${name}`);
    const config = { id: hexOf(world.random.bytes(16)), createdAt: world.clock.now() };
    const text = encodeConfig(config);
    for (const name of NAMES.toReversed()) await writeDurably(disk, `${path}/${name}`, text);
  } finally {
    await lock.release();
  }
}

/** Whether everything there is what an interrupted `create` may have made: `config` comes last. */
async function isLeftOver(disk: Disk, path: string): Promise<boolean> {
  const made: readonly string[] = ['packs', ...RECORD_DIRECTORIES];
  for (const { name, kind } of await disk.list(path)) {
    const ours =
      kind === 'file' && (name === 'lock' || name.includes('config.spare') || name.startsWith('.config.'));
    const empty =
      kind === 'directory' && made.includes(name) && (await disk.list(`${path}/${name}`)).length === 0;
    if (!ours && !empty) return false;
  }
  return true;
}

export interface ConfigRead {
  readonly config: DepotConfig;
  /** Names of copies that are damaged or missing. */
  readonly bad: readonly string[];
}

/**
 * From whichever copy is good.
 * @throws LowtideError `not-a-depot`, `newer-format`, `damaged-config`
 */
export async function readConfig(disk: Disk, path: string): Promise<ConfigRead> {
  const reads = await Promise.all(NAMES.map((name) => readCopy(disk, `${path}/${name}`)));
  if (reads[0] === 'missing' && (reads[1] === 'missing' || (await isLeftOver(disk, path)))) {
    throw new LowtideError('not-a-depot', `there is no depot at ${path}: make one with lowtide init`);
  }
  const config = reads.find((read) => typeof read === 'object');
  if (config === undefined) {
    throw new LowtideError('damaged-config', `both copies of the depot's config in ${path} are damaged`);
  }
  return { config, bad: NAMES.filter((_, copy) => typeof reads[copy] === 'string') };
}

export async function repairConfig(disk: Disk, path: string, { config, bad }: ConfigRead): Promise<void> {
  for (const name of bad) await writeDurably(disk, `${path}/${name}`, encodeConfig(config));
}

async function readCopy(disk: Disk, path: string): Promise<DepotConfig | 'missing' | 'damaged'> {
  try {
    const read = Buffer.from(await readWhole(disk, path, CONFIG_BYTES_MAX)).toString('utf8');
    const { id, createdAt, format, check } = configShape(JSON.parse(read));
    if (check !== checkOf(format, { id, createdAt })) return 'damaged';
    if (format > FORMAT) {
      throw new LowtideError(
        'newer-format',
        `${path} says format ${format}: update Lowtide to use this depot`,
      );
    }
    return { id, createdAt };
  } catch (error) {
    if (isLowtideError(error, 'not-found')) return 'missing';
    if (isLowtideError(error, 'newer-format')) throw error;
    return 'damaged';
  }
}

function encodeConfig(config: DepotConfig): Uint8Array {
  const { id, createdAt } = config;
  const text = JSON.stringify(
    { lowtide: 'depot', format: FORMAT, id, createdAt, check: checkOf(FORMAT, config) },
    null,
    2,
  );
  return Buffer.from(text + '\n', 'utf8');
}

/** The same in every later format, so that a newer depot can be told from a damaged one. */
function checkOf(format: number, { id, createdAt }: DepotConfig): string {
  return createHash('sha256').update(`depot ${format} ${id} ${createdAt}`).digest('hex');
}
