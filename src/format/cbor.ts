import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { z } from 'zod';
import { equalBytes } from '../model/bytes.ts';
import { type ErrorCode, LowtideError, messageOf } from '../model/errors.ts';

/** Core deterministic encoding of RFC 8949, section 4.2.1 (format F4). */
export function encodeCbor(value: unknown): Uint8Array {
  return encode(value, rfc8949EncodeOptions);
}

/**
 * Decodes exactly one canonical item and checks its shape. Indefinite lengths, tags, duplicate keys, floats that are
 * not finite and any encoding that is not the deterministic one are refused (format F4).
 */
export function decodeCbor<T>(bytes: Uint8Array, shape: z.ZodType<T>, code: ErrorCode, what: string): T {
  let value: unknown;
  try {
    value = decode(bytes, {
      allowIndefinite: false,
      allowUndefined: false,
      allowInfinity: false,
      allowNaN: false,
      allowBigInt: false,
      strict: true,
      rejectDuplicateMapKeys: true,
    });
  } catch (error) {
    throw new LowtideError(code, `${what} is not valid CBOR: ${messageOf(error)}`);
  }
  if (!equalBytes(encodeCbor(value), bytes)) {
    throw new LowtideError(code, `${what} is not in deterministic CBOR`);
  }
  if (isNewer(value)) {
    throw new LowtideError('newer-format', `${what} has format ${value.format}: update Lowtide to read it`);
  }
  const result = shape.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0];
    const where = issue?.path.join('.') ?? '';
    throw new LowtideError(code, `${what} has a bad field ${where}: ${issue?.message ?? 'unknown'}`);
  }
  return result.data;
}

/** Every body says its format, so that a newer one is not taken for a damaged one (format F2). */
function isNewer(value: unknown): value is { readonly format: number } {
  const format = (value as { readonly format?: unknown } | null)?.format;
  return typeof format === 'number' && format > 1;
}

/** Exactly `length` bytes. */
export const bytesOf = (length: number) =>
  z.instanceof(Uint8Array).refine((bytes) => bytes.length === length, `must be ${length} bytes`);

export const bytesUpTo = (length: number) =>
  z.instanceof(Uint8Array).refine((bytes) => bytes.length <= length, `must be at most ${length} bytes`);

/** A whole number from 0 to 2^53 - 1. */
export const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
