import { hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { DomainKeyId } from '../model/ids.ts';
import type { DomainKeys, KeyStore } from './domain-keys.ts';
import { openBox, sealBox } from './siv-box.ts';

/** Metadata for who holds the keys of a domain: its key's id ‖ a box under K_manifest (format F46, F93). */
const DOMAIN_ID_BYTES = 16;

export function sealUnder(keys: DomainKeys, context: string, body: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([keys.idBytes, sealBox(keys.manifest, context, body)]));
}

/** @param what it is, for people. @throws LowtideError `no-key`, `damaged-manifest` */
export function openUnder(keys: KeyStore, context: string, sealed: Uint8Array, what: string): Uint8Array {
  const message = `${what} does not open`;
  if (sealed.length < DOMAIN_ID_BYTES) throw new LowtideError('damaged-manifest', message);
  const domain = keys.find(hexOf(sealed.subarray(0, DOMAIN_ID_BYTES)) as DomainKeyId);
  return openBox(domain.manifest, context, sealed.subarray(DOMAIN_ID_BYTES), 'damaged-manifest', message);
}
