import { readFileSync } from 'node:fs';
import { compiledGear, plainGear } from './gear-kernel.ts';
import { nativeLoader } from '../system/native.ts';
import type { Kernels } from '../ports.ts';
import { loadSystemCalls, type SystemCalls } from '../system/system-calls.ts';

/** Where the build of kernels/ puts what it compiled. */
const COMPILED_GEAR = new URL('../../../kernels/build/gear.wasm', import.meta.url);

/** One set for each thread. The plain twin does the same, only slower, where the compiled one cannot be had. */
export function loadKernels(): Kernels {
  let loaded: SystemCalls | null | undefined;
  const system = (): SystemCalls | null => (loaded === undefined ? (loaded = loadSystemCalls()) : loaded);
  const native = nativeLoader();
  try {
    return { gear: compiledGear(readFileSync(COMPILED_GEAR)), system, native };
  } catch {
    return { ...plainKernels, system, native };
  }
}

export const plainKernels: Kernels = { gear: plainGear };
