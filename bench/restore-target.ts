import { mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../test/real/processes.ts';

/** Where one restore goes. */
export interface RestoreTarget {
  readonly path: string;
  remove(): Promise<void>;
}

/** What has to have room there. */
export interface Room {
  readonly bytes: number;
  readonly entries: number;
}

/** Room beside the file system's own tables, an inode for each 16 KiB of it, and for each entry more than one. */
const IMAGE_SHARE = 2;
const IMAGE_BYTES_MIN = 4 * 2 ** 30;
const INODE_BYTES = 16_384;

/**
 * An empty folder: in the scratch folder, or on an ext4 made for it in a file, which takes root. ext4 passes over inodes that
 * were deleted in the last minutes, one by one for each new file, so that on the disk's own a program pays for what was
 * removed before it.
 */
export async function restoreTarget(
  scratch: string,
  { bytes, entries }: Room,
  fresh: boolean,
): Promise<RestoreTarget> {
  const path = join(scratch, 'restored');
  mkdirSync(path);
  const drop = (): void => rmSync(path, { recursive: true, force: true });
  if (!fresh) return { path, remove: async () => drop() };
  const image = join(scratch, 'restored.img');
  const { bavail, bsize } = statfsSync(scratch);
  const size = Math.max(IMAGE_BYTES_MIN, IMAGE_SHARE * bytes);
  if (size > bavail * bsize) throw new Error(`there is no room for a file system of ${size} bytes`);
  await run('fallocate', ['-l', String(size), image]);
  // All of its tables at once: written later, they would be written beside a program.
  const whole = 'lazy_itable_init=0,lazy_journal_init=0,nodiscard';
  const inodes = Math.max(Math.ceil(size / INODE_BYTES), IMAGE_SHARE * entries);
  await run('mkfs.ext4', ['-q', '-F', '-N', String(inodes), '-E', whole, image]);
  // Otherwise all that is written goes through the page cache of the disk too: a second copy, and a sync of twice as much.
  const { out } = await run('losetup', ['--find', '--show', '--direct-io=on', image]);
  const device = out.trim();
  await run('mount', [device, path]);
  await run('sync', []);
  const inner = join(path, 'here');
  mkdirSync(inner);
  return {
    path: inner,
    async remove() {
      await run('umount', [path]);
      await run('losetup', ['--detach', device]);
      rmSync(image);
      drop();
    },
  };
}
