import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import { equalBytes } from '../model/bytes.ts';
import { type ErrorCode, LowtideError } from '../model/errors.ts';

/**
 * Small deterministic sealed boxes for what is not a block: slots, keyrings, the sealed half of a manifest (format
 * F50). box = siv ‖ AES-256-GCM(HKDF(key, siv), zero nonce, AAD = context) ‖ tag, with siv = HMAC(key', context,
 * payload): a (key, nonce) pair never meets two payloads.
 */
const SIV_BYTES = 32;
const TAG_BYTES = 16;
const ZERO_NONCE = Buffer.alloc(12);

export function deriveKey(secret: Uint8Array, salt: Uint8Array, label: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, label, 32));
}

export function sealBox(key: Uint8Array, context: string, payload: Uint8Array): Uint8Array {
  const siv = boxSiv(key, context, payload);
  const cipher = createCipheriv('aes-256-gcm', deriveKey(key, siv, 'lowtide/1/box-seal'), ZERO_NONCE, {
    authTagLength: TAG_BYTES,
  });
  cipher.setAAD(Buffer.from(context, 'utf8'));
  const sealed = Buffer.concat([siv, cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
  return new Uint8Array(sealed.buffer, sealed.byteOffset, sealed.length);
}

/** @throws LowtideError `code` if the key is another one or a bit was changed */
export function openBox(
  key: Uint8Array,
  context: string,
  box: Uint8Array,
  code: ErrorCode,
  message: string,
): Buffer {
  if (box.length < SIV_BYTES + TAG_BYTES) throw new LowtideError(code, message);
  const siv = box.subarray(0, SIV_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', deriveKey(key, siv, 'lowtide/1/box-seal'), ZERO_NONCE, {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.from(context, 'utf8'));
  decipher.setAuthTag(box.subarray(box.length - TAG_BYTES));
  let payload: Buffer;
  try {
    payload = Buffer.concat([
      decipher.update(box.subarray(SIV_BYTES, box.length - TAG_BYTES)),
      decipher.final(),
    ]);
  } catch {
    throw new LowtideError(code, message);
  }
  if (!equalBytes(boxSiv(key, context, payload), siv)) throw new LowtideError(code, message);
  return payload;
}

function boxSiv(key: Uint8Array, context: string, payload: Uint8Array): Buffer {
  const contextBytes = Buffer.from(context, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(contextBytes.length);
  return createHmac('sha256', deriveKey(key, Buffer.alloc(0), 'lowtide/1/box-siv'))
    .update(length)
    .update(contextBytes)
    .update(payload)
    .digest();
}
