import { z } from 'zod';
import { LowtideError } from '../model/errors.ts';
import type { JsonValue } from './strict-json.ts';

/** What fields of messages are made of. Every one is bounded. Bytes travel as base64url without padding (RFC 4648). */

/** Bytes on our side, base64url on the wire; only the one canonical spelling is accepted. */
export const bytesText = (min: number, max: number) =>
  z.codec(
    z
      .string()
      .max(Math.ceil((max * 4) / 3))
      .refine(isCanonical, 'must be base64url'),
    z
      .instanceof(Uint8Array)
      .refine((bytes) => bytes.length >= min && bytes.length <= max, `must be ${min} to ${max} bytes`),
    {
      decode: (text) => new Uint8Array(Buffer.from(text, 'base64url')),
      encode: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url'),
    },
  );

function isCanonical(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}

/** An id of `digits` lowercase hex digits. */
export const idText = <Id extends string>(digits: number): z.ZodType<Id, string> =>
  z
    .string()
    .regex(
      new RegExp(`^[0-9a-f]{${digits}}$`),
      `must be ${digits} lowercase hex digits`,
    ) as unknown as z.ZodType<Id, string>;

export const textUpTo = (length: number) => z.string().max(length);

/** A whole number from 0 to 2^53 - 1. */
export const wholeNumber = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Milliseconds of some clock, or anything that a wrong clock may say. */
export const instant = z.number().int().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER);

/**
 * What a peer sent, checked.
 * @throws LowtideError `code`
 */
export function decodeMessage<T>(
  shape: z.ZodType<T>,
  value: JsonValue,
  code: 'bad-request' | 'bad-answer',
): T {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where =
    issue === undefined || issue.path.length === 0 ? 'the message' : `the field ${issue.path.join('.')}`;
  throw new LowtideError(code, `${where} is wrong: ${issue?.message ?? 'unknown'}`.slice(0, 300));
}

/** Our side of it: what does not fit the shape is our own mistake, and thrown as such. */
export function encodeMessage<T>(shape: z.ZodType<T>, value: T): Buffer {
  return Buffer.from(JSON.stringify(z.encode(shape, value)), 'utf8');
}
