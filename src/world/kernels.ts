import { readFileSync } from 'node:fs';
import { compiledGear, plainGear } from './gear-kernel.ts';
import type { Kernels } from './ports.ts';

/** Where the build of kernels/ puts what it compiled. */
const COMPILED_GEAR = new URL('../../kernels/build/gear.wasm', import.meta.url);

/** One set for each thread. The plain twin does the same, only slower, where the compiled one cannot be had. */
export function loadKernels(): Kernels {
  try {
    return { gear: compiledGear(readFileSync(COMPILED_GEAR)) };
  } catch {
    return plainKernels;
  }
}

export const plainKernels: Kernels = { gear: plainGear };
