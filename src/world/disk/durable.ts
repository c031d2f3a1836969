import { LowtideError, isLowtideError } from '../../model/errors.ts';
import { errnoName } from '../system/errno.ts';
import type { Disk, WritableFile } from '../ports.ts';

/** Names of files that nobody has finished. Nothing that counts may have one. */
const TEMPORARY = /^\.[^/]+\.[0-9]+\.tmp$/;
const TEMPORARY_TRIES = 32;

export function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

/**
 * Makes `path` a file of exactly these bytes, durable when it resolves; until then `path` is as it was. May run
 * several times at once, even for one path: the last to finish wins. Errors as Disk.
 */
export async function writeDurably(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const [directory, name] = splitPath(path);
  const temporary = await createTemporary(disk, directory, name);
  try {
    await fillDurably(temporary.file, bytes);
    await disk.rename(temporary.path, path);
  } catch (error) {
    await disk.remove(temporary.path).catch(() => {});
    throw error;
  }
  await disk.syncDirectory(directory === '' ? '/' : directory);
}

/** The whole file. LowtideError `too-large` if it has more than `maxBytes`, else as Disk. */
export async function readWhole(disk: Disk, path: string, maxBytes: number): Promise<Uint8Array> {
  const file = await disk.openRead(path);
  try {
    const size = await file.size();
    if (size <= maxBytes) return await file.read(0, size);
    throw new LowtideError(
      'too-large',
      `${path} has ${size} bytes, and at most ${maxBytes} are expected there`,
    );
  } finally {
    await file.close();
  }
}

/**
 * Removes what interrupted calls of `writeDurably` left in this directory, if it exists. Only when nobody writes there.
 * @returns how many
 */
export async function sweepTemporary(disk: Disk, directory: string): Promise<number> {
  const names = await disk.list(directory).catch((error: unknown) => {
    if (isLowtideError(error, 'not-found')) return [];
    throw error;
  });
  const left = names.filter(({ name, kind }) => kind === 'file' && isTemporary(name));
  for (const { name } of left) await disk.remove(`${directory}/${name}`);
  return left.length;
}

async function fillDurably(file: WritableFile, bytes: Uint8Array): Promise<void> {
  try {
    await file.write(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The first number that is free: a call that runs beside this one, or a crash, may have taken some. */
async function createTemporary(
  disk: Disk,
  directory: string,
  name: string,
): Promise<{ readonly path: string; readonly file: WritableFile }> {
  for (let attempt = 0; ; attempt++) {
    const path = `${directory}/.${name}.${attempt}.tmp`;
    try {
      return { path, file: await disk.create(path) };
    } catch (error) {
      // Whoever had the number may have finished by now, so that it is free again: only the error tells.
      const taken = error instanceof Error && errnoName(error.cause) === 'EEXIST';
      if (!taken || attempt === TEMPORARY_TRIES) throw error;
    }
  }
}

function splitPath(path: string): [directory: string, name: string] {
  const cut = path.lastIndexOf('/');
  if (cut === -1 || cut === path.length - 1) throw new TypeError(`${path} does not name a file absolutely`);
  return [path.slice(0, cut), path.slice(cut + 1)];
}
