import type { RandomStream } from '../model/random-stream.ts';
import type { Random } from '../world/ports.ts';

export { RandomStream } from '../model/random-stream.ts';

/** The Random port: seeded, one stream an incarnation, so that no two incarnations ever draw the same key. */
export function simulatedRandom(stream: RandomStream): Random {
  return { bytes: (length) => stream.bytes(length) };
}
