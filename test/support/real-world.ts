import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits, type Limits } from '../../src/model/limits.ts';
import { realClock } from '../../src/world/clock.ts';
import { realDatabases } from '../../src/world/sql/databases.ts';
import { realDisk } from '../../src/world/disk/disk.ts';
import { realFiles } from '../../src/world/source/files.ts';
import { inlineWork } from '../../src/world/threads/inline-work.ts';
import { type CollectingMonitor, collectingMonitor } from './monitor.ts';
import type { World } from '../../src/world/ports.ts';
import { realRandom } from '../../src/world/random.ts';

/** The real parts in a directory of their own, with a wall clock that the test may move. */
export interface TestWorld extends World {
  readonly monitor: CollectingMonitor;
  readonly directory: string;
  /** Moves the wall clock, not the monotonic one. */
  advance(ms: number): void;
  dispose(): Promise<void>;
}

export async function realWorld(changes: Partial<Limits> = {}): Promise<TestWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'lowtide-'));
  const clock = realClock();
  let ahead = 0;
  return {
    clock: { ...clock, now: () => clock.now() + ahead },
    random: realRandom(),
    disk: realDisk(),
    files: realFiles(),
    databases: realDatabases(),
    work: inlineWork(),
    monitor: collectingMonitor(),
    limits: { ...limits, ...changes },
    directory,
    advance: (ms) => void (ahead += ms),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
}
