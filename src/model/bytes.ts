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
