import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Native } from '../system/native.ts';

/**
 * Makes durable what was written to these file systems.
 * @param fileSystems a readable descriptor on each, opened before the writing so that it hears of every error; null
 *   where none could be had
 */
export async function syncFileSystems(
  fileSystems: readonly (number | null)[],
  native: Native | null,
): Promise<void> {
  if (native === null || fileSystems.includes(null)) await promisify(execFile)('sync');
  if (native === null) return;
  for (const descriptor of fileSystems) {
    if (descriptor !== null) await native.syncFileSystem(descriptor);
  }
}
