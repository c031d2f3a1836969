import { limits as productionLimits, type Limits } from '../model/limits.ts';
import { realClock } from './clock.ts';
import { realCommands } from './commands.ts';
import { realDatabases } from './databases.ts';
import { realDisk } from './disk.ts';
import { realFiles } from './files.ts';
import { nativeLoader } from './native.ts';
import type { Monitor, World } from './ports.ts';
import { realRandom } from './random.ts';
import { realStrain } from './strain.ts';
import { realWork } from './work.ts';

export interface RealWorld extends World {
  /** Ends the worker threads. */
  close(): Promise<void>;
}

/** The world that a process runs in. */
export function realWorld({ monitor, limits = productionLimits, lanes }: RealWorldOptions): RealWorld {
  const native = nativeLoader();
  const work = realWork(lanes);
  return {
    clock: realClock(),
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
    close: () => work.close(),
  };
}

export interface RealWorldOptions {
  readonly monitor: Monitor;
  readonly limits?: Limits;
  /** Worker threads; one for each core unless told. */
  readonly lanes?: number;
}
