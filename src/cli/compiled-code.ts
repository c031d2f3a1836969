import { readdirSync, rm, statSync, utimesSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DAY_MS } from '../model/time.ts';

const UNUSED_MS = 30 * DAY_MS;

/**
 * Node keeps compiled code in a folder for each of its versions and of V8's settings, and never removes one. What no
 * start has used for a month goes; the program does not wait for that.
 * @param used the folder of this start
 */
export function forgetUnusedCode(used: string | undefined, now: number): void {
  if (used === undefined) return;
  try {
    utimesSync(used, now / 1000, now / 1000);
    const all = dirname(used);
    for (const name of readdirSync(all)) {
      const folder = join(all, name);
      if (name === basename(used) || now - statSync(folder).mtimeMs < UNUSED_MS) continue;
      rm(folder, { recursive: true, force: true }, () => {});
    }
  } catch {
    // It is a cache: without it a start takes longer.
  }
}
