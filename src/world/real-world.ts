import { limits as productionLimits, type Limits } from '../model/limits.ts';
import { aborted } from '../model/stopping.ts';
import { SECOND_MS } from '../model/time.ts';
import { realClock } from './clock.ts';
import { realCommands } from './commands.ts';
import { realDatabases } from './sql/databases.ts';
import { realDisk } from './disk/disk.ts';
import { realFiles } from './source/files.ts';
import { nativeLoader, nativeOrNull } from './system/native.ts';
import type { Monitor, World } from './ports.ts';
import { realRandom } from './random.ts';
import { realStrain } from './strain.ts';
import { realWork } from './threads/work.ts';

/** What was freed meanwhile is used again by then, or was one of many for a while. */
const GIVE_BACK_MS = 5 * SECOND_MS;

export interface RealWorld extends World {
  /**
   * Gives the system, now and then until `stop`, the memory that lies free between what is in use: connections and blocks that come and go
   * leave it behind, as much as all that is in use.
   */
  giveMemoryBack(stop: AbortSignal): Promise<void>;
  /** Ends the worker threads. */
  close(): Promise<void>;
}

/** The world that a process runs in. */
export function realWorld({ monitor, limits = productionLimits, lanes }: RealWorldOptions): RealWorld {
  const native = nativeLoader();
  const work = realWork(lanes);
  const clock = realClock();
  return {
    clock,
    random: realRandom(),
    disk: realDisk(native),
    files: realFiles(native, work),
    databases: realDatabases(),
    work,
    monitor,
    commands: realCommands(),
    strain: realStrain(),
    limits,
    pid: process.pid,
    giveMemoryBack: async (stop) => {
      const trim = nativeOrNull(native)?.trimMemory ?? null;
      if (trim === null) return await aborted(stop);
      while (!stop.aborted) {
        await clock.sleep(GIVE_BACK_MS, stop);
        await trim();
      }
    },
    close: () => work.close(),
  };
}

export interface RealWorldOptions {
  readonly monitor: Monitor;
  readonly limits?: Limits;
  /** Worker threads; one for each core unless told. */
  readonly lanes?: number;
}
