import { createHash } from 'node:crypto';
import type { ErrorCode } from '../../src/model/errors.ts';
import type { SlotSpec } from '../../src/format/keyring-slots.ts';

/** What a reader must refuse, and with which code. */
export interface InvalidVector {
  readonly name: string;
  readonly bytes: string;
  readonly code: ErrorCode;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** 32 bytes for a name, the same for ever. */
export function secretOf(name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`golden ${name}`).digest());
}

/** Bytes that look random and are the same for ever. */
export function entropyOf(name: string): (length: number) => Uint8Array {
  let turn = 0;
  return (length) => {
    const digest = createHash('sha512').update(`golden ${name} ${turn++}`).digest();
    return new Uint8Array(digest.subarray(0, length));
  };
}

export function flipped(bytes: Uint8Array, at: number, bits = 1): Buffer {
  const changed = Buffer.from(bytes);
  changed[at]! ^= bits;
  return changed;
}

/** A slot spec for JSON. */
export function plainSpec(spec: SlotSpec): Record<string, string> {
  return Object.fromEntries(
    Object.entries(spec).map(([name, value]) => [name, value instanceof Uint8Array ? hex(value) : value]),
  );
}

/** The error code that `run` is refused with: what the vector will say from now on. */
export function codeOf(run: () => unknown): ErrorCode {
  try {
    run();
  } catch (error) {
    const { code } = error as { code?: ErrorCode };
    if (code !== undefined) return code;
    throw error;
  }
  throw new Error('a vector that must be refused was not');
}
