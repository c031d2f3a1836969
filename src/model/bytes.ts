/** Plain operations on byte arrays that every room needs. */

export const NO_BYTES = new Uint8Array(0);

/** The same memory as a Buffer: no copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function hexOf(bytes: Uint8Array): string {
  return bufferOf(bytes).toString('hex');
}

export function bytesOfHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** Less is not worth the call. */
const WORTH_FREEING = 4096;

/**
 * Gives memory back now instead of at some collection of garbage, which counts bytes outside its heap badly. Only for
 * what nobody else holds: `bytes` is empty afterwards. Buffers that share their memory with others are left alone.
 */
export function freeAtOnce({ buffer, byteLength }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < WORTH_FREEING) return;
  // Node cuts small buffers out of larger ones of poolSize: a part of one of those is not ours alone.
  if (byteLength === buffer.byteLength || buffer.byteLength > 2 * Buffer.poolSize) buffer.transfer(0);
}
