import { isLowtideError, LowtideError } from '../model/errors.ts';
import { readWhole } from '../world/disk/durable.ts';
import type { DiskLock, World } from '../world/ports.ts';

const NOTE_BYTES_MAX = 1 << 10;

/**
 * The right to write: one process at a time, and it ends with the process.
 * @throws LowtideError `locked`, which says who has it
 */
export async function takeLock(world: World, depot: string): Promise<DiskLock> {
  const path = `${depot}/lock`;
  const lock = await world.disk.lock(path);
  if (lock === null) {
    const message = `the depot ${depot} is in use${await holder(world, path)}: try again when that is done`;
    throw new LowtideError('locked', message);
  }
  try {
    await leaveNote(world, path);
  } catch (error) {
    // Who holds the lock is only for people; a full disk must not keep the owner from making room.
    if (!isLowtideError(error)) throw error;
  }
  return lock;
}

async function leaveNote(world: World, path: string): Promise<void> {
  const file = await world.disk.openAppend(path);
  try {
    await file.truncate(0);
    const note = { ...(world.pid !== undefined && { pid: world.pid }), since: new Date(world.clock.now()) };
    await file.write(Buffer.from(JSON.stringify(note), 'utf8'));
  } finally {
    await file.close();
  }
}

async function holder(world: World, path: string): Promise<string> {
  try {
    const note: unknown = JSON.parse(
      Buffer.from(await readWhole(world.disk, path, NOTE_BYTES_MAX)).toString(),
    );
    if (typeof note !== 'object' || note === null) return '';
    const pid = 'pid' in note && Number.isSafeInteger(note.pid) ? ` by process ${Number(note.pid)}` : '';
    const since = 'since' in note && typeof note.since === 'string' ? new Date(note.since) : null;
    return since === null || Number.isNaN(since.getTime()) ? pid : `${pid} since ${since.toISOString()}`;
  } catch {
    return '';
  }
}
