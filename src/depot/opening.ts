import { isLowtideError, LowtideError } from '../model/errors.ts';
import { sweepTemporary } from '../world/disk/durable.ts';
import type { DiskLock, World } from '../world/ports.ts';
import { BlockIndex } from './block-index.ts';
import { type ConfigRead, type DepotConfig, readConfig, repairConfig } from './config.ts';
import { takeLock } from './depot-lock.ts';
import type { PackRoom } from './pack-file.ts';
import { DirectoryPackStore } from './pack-store.ts';
import { Records } from './records.ts';
import { recover } from './recovery.ts';
import { Unflushed } from './unflushed.ts';

export interface OpenedDepot {
  readonly world: World;
  readonly path: string;
  readonly config: DepotConfig;
  /** Null if opened for reading. */
  readonly lock: DiskLock | null;
  readonly room: PackRoom;
}

export async function openForWriting(world: World, path: string): Promise<OpenedDepot> {
  const read = await readConfig(world.disk, path);
  const lock = await takeLock(world, path);
  try {
    await tidy(world, path, read);
    const index = await BlockIndex.open(world, indexPath(path));
    const room = roomOf(world, path, index);
    try {
      await recover(room, world.monitor);
    } catch (error) {
      await index.close();
      throw error;
    }
    return { world, path, config: read.config, lock, room };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Needs no lock. Only if there is no index that can be used, the depot is opened for writing first, to make one. */
export async function openForReading(world: World, path: string): Promise<OpenedDepot> {
  const { config } = await readConfig(world.disk, path);
  const index = (await BlockIndex.openReadOnly(world, indexPath(path))) ?? (await makeIndex(world, path));
  return { world, path, config, lock: null, room: roomOf(world, path, index) };
}

async function makeIndex(world: World, path: string): Promise<BlockIndex> {
  const { lock, room } = await openForWriting(world, path);
  await room.store.close();
  await room.index.close();
  await lock?.release();
  const index = await BlockIndex.openReadOnly(world, indexPath(path));
  if (index === null) throw new LowtideError('disk-failed', `the index of the depot ${path} cannot be read`);
  return index;
}

function indexPath(path: string): string {
  return `${path}/index.db`;
}

function roomOf(world: World, path: string, index: BlockIndex): PackRoom {
  const { limits, random, disk } = world;
  const store = new DirectoryPackStore(disk, `${path}/packs`);
  return { limits, random, store, index, active: new Set(), unflushed: new Unflushed(limits) };
}

async function tidy(world: World, path: string, read: ConfigRead): Promise<void> {
  const { disk, limits, monitor } = world;
  await sweepTemporary(disk, path);
  await new Records(disk, limits, path).sweep();
  if (read.bad.length === 0) return;
  try {
    await repairConfig(disk, path, read);
    const message = 'it was damaged or missing and was written again from its copy';
    for (const name of read.bad) {
      monitor.problem({ path: `${path}/${name}`, code: 'damaged-config', message, severity: 'note' });
    }
  } catch (error) {
    // The other copy is good: no reason to keep anybody from their backups.
    if (!isLowtideError(error)) throw error;
  }
}
