import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { Strain } from './ports.ts';

/** What Linux tells in /proc; a kernel without pressure figures, or another system, tells less or nothing. */
export function realStrain(proc = '/proc'): Strain {
  return {
    async load() {
      const text = await read(`${proc}/loadavg`);
      const load = Number(text?.split(' ')[0]);
      return text === null || !Number.isFinite(load) ? null : load / availableParallelism();
    },
    async disk() {
      const text = await read(`${proc}/pressure/io`);
      const share = /^some avg10=([0-9.]+)/m.exec(text ?? '')?.[1];
      return share === undefined ? null : Number(share) / 100;
    },
  };
}

/** Null where there is no such file, or nobody may read it. */
async function read(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch(() => null);
}
