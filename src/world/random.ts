import { randomFillSync } from 'node:crypto';
import type { Random } from './ports.ts';

/** The operating system's randomness. */
export function realRandom(): Random {
  return { bytes: (length) => randomFillSync(new Uint8Array(length)) };
}
