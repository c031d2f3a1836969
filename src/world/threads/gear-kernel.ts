import { bufferOf } from '../../model/bytes.ts';
import type { GearKernel } from '../ports.ts';

/** The hash at a byte depends on this many bytes, itself included (format F12). */
const WINDOW_BYTES = 32;

/** The kernel in TypeScript: for the simulator, and where WebAssembly cannot be had. */
export const plainGear: GearKernel = {
  name: 'plain',
  find(bytes, from, gear, { looseShift, strictShift }) {
    const found: number[] = [];
    let hash = 0;
    for (let at = Math.max(0, from - WINDOW_BYTES + 1); at < from; at++) {
      hash = (hash << 1) + gear[bytes[at]!]!;
    }
    const end = bytes.length;
    for (let at = from; at < end; at++) {
      hash = ((hash << 1) + gear[bytes[at]!]!) | 0;
      if (hash >>> looseShift === 0) found.push((at + 1) * 2 + (hash >>> strictShift === 0 ? 1 : 0));
    }
    return found;
  },
};

/** The part of the standard that is used here: TypeScript has it only together with the DOM. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

interface Place {
  readonly value: number;
}

/** What kernels/gear.ts exports. */
interface GearExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly GEAR_AT: Place;
  readonly COUNTS_AT: Place;
  readonly TILE_AT: Place;
  readonly TILE_BYTES: Place;
  readonly FOUND_AT: Place;
  readonly QUARTER_FOUND_BYTES: Place;
  scan(length: number, known: number, loose: number, strict: number): void;
}

const QUARTERS = 4;

/**
 * The kernel of kernels/gear.ts, with a memory of its own: one for each thread.
 * @throws if the module is not that kernel
 */
export function compiledGear(wasm: Uint8Array): GearKernel {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm), {});
  const kernel = instance.exports as GearExports;
  const bytes = new Uint8Array(kernel.memory.buffer);
  const words = new Uint32Array(kernel.memory.buffer);
  const tileAt = kernel.TILE_AT.value;
  const tileBytes = kernel.TILE_BYTES.value;
  const gearAt = kernel.GEAR_AT.value / 4;
  const countsAt = kernel.COUNTS_AT.value / 4;
  const foundAt = kernel.FOUND_AT.value / 4;
  const quarterWords = kernel.QUARTER_FOUND_BYTES.value / 4;
  return {
    name: 'compiled',
    find(file, from, gear, { looseShift, strictShift }) {
      const found: number[] = [];
      // As a Buffer: from shared memory, `set` copies with a slower loop.
      const source = bufferOf(file);
      words.set(gear, gearAt);
      for (let at = from; at < file.length; at += tileBytes) {
        const known = Math.min(at, WINDOW_BYTES - 1);
        const length = Math.min(tileBytes, file.length - at);
        source.copy(bytes, tileAt - known, at - known, at + length);
        kernel.scan(length, known, looseShift, strictShift);
        for (let quarter = 0; quarter < QUARTERS; quarter++) {
          const first = foundAt + quarter * quarterWords;
          const end = first + words[countsAt + quarter]!;
          for (let one = first; one < end; one++) found.push(words[one]! + 2 * at);
        }
      }
      return found;
    },
  };
}
