import type { z } from 'zod';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { pathKeyOf } from '../model/paths.ts';
import { readWhole, writeDurably } from '../world/disk/durable.ts';
import type { World } from '../world/ports.ts';

/** Files that hold an identity: text, mode 0600, written whole or not at all. */
const FILE_BYTES_MAX = 1 << 20;
const OTHERS = 0o077;

export async function writePrivate(world: World, path: string, text: string): Promise<void> {
  await writeDurably(world.disk, path, Buffer.from(text, 'utf8'));
}

/** @throws LowtideError `not-found`; `forbidden` if other people of this machine may read or change the file */
export async function readPrivate(world: World, path: string): Promise<string> {
  const seen = await world.files.lstat(pathKeyOf(path));
  if (seen !== null && (seen.mode & OTHERS) !== 0) {
    throw new LowtideError(
      'forbidden',
      `${path} may be read by others (mode ${seen.mode.toString(8)}): take the file for known to them, or run chmod 600 on it`,
    );
  }
  const bytes = await readWhole(world.disk, path, FILE_BYTES_MAX);
  return Buffer.from(bytes).toString('utf8');
}

export function writePrivateJson(world: World, path: string, value: object): Promise<void> {
  return writePrivate(world, path, JSON.stringify(value, null, 2) + '\n');
}

/** @throws LowtideError as `readPrivate`; `bad-config` for a file that is not what it must be */
export async function readPrivateJson<T>(world: World, path: string, shape: z.ZodType<T>): Promise<T> {
  const text = await readPrivate(world, path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new LowtideError('bad-config', `${path} is not JSON: restore it from a copy`);
  }
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new LowtideError(
    'bad-config',
    `${path} has a bad field ${issue?.path.join('.')}: ${issue?.message ?? 'unknown'}`,
  );
}

/** Null where `readPrivate` finds no file. */
export async function ifThere<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (isLowtideError(error, 'not-found')) return null;
    throw error;
  }
}
