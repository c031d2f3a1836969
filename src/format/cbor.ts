import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { equalBytes } from '../model/bytes.ts';
import { type ErrorCode, LowtideError, messageOf } from '../model/errors.ts';
import { Misfit, type Shape } from './shape.ts';

/** Core deterministic encoding of RFC 8949, section 4.2.1 (format F4). */
export function encodeCbor(value: unknown): Uint8Array {
  return encode(value, rfc8949EncodeOptions);
}

/**
 * Decodes exactly one canonical item and checks its shape. Indefinite lengths, tags, duplicate keys, floats that are
 * not finite and any encoding that is not the deterministic one are refused (format F4).
 */
export function decodeCbor<T>(bytes: Uint8Array, shape: Shape<T>, code: ErrorCode, what: string): T {
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
  try {
    return shape(value);
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    throw new LowtideError(code, `${what} has a bad field ${error.path.join('.')}: ${error.message}`);
  }
}

/** Every body says its format, so that a newer one is not taken for a damaged one (format F2). */
function isNewer(value: unknown): value is { readonly format: number } {
  const format = (value as { readonly format?: unknown } | null)?.format;
  return typeof format === 'number' && format > 1;
}
