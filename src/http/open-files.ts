import { open } from 'node:fs/promises';
import { SECOND_MS } from '../model/time.ts';
import { errnoName } from '../world/system/errno.ts';
import type { World } from '../world/ports.ts';

const LOOK_MS = 10 * SECOND_MS;

/**
 * The system drops connections that a process has no file for without a word to it: so it looks whether there is one, until
 * `stop`.
 */
export async function watchOpenFiles({ clock, monitor }: World, stop: AbortSignal): Promise<void> {
  for (let told = false; !stop.aborted; await clock.sleep(LOOK_MS, stop)) {
    const full = await isFull();
    if (full && !told) {
      const message =
        'this process has as many open files as it may, and connections to it fail: allow more (ulimit -n; with systemd, LimitNOFILE)';
      monitor.event({ kind: 'alarm', code: 'too-many', message });
    }
    told = full;
  }
}

async function isFull(): Promise<boolean> {
  try {
    await (await open('/dev/null')).close();
    return false;
  } catch (error) {
    return ['EMFILE', 'ENFILE'].includes(errnoName(error));
  }
}
