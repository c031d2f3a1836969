import { type SigningKey, signingKeyFromSeed } from '../format/signing.ts';
import type { World } from '../world/ports.ts';

const SEED_BYTES = 32;

/** Of a new pair, drawn from the world's own randomness. */
export function newKey(world: World): SigningKey {
  return signingKeyFromSeed(world.random.bytes(SEED_BYTES));
}
