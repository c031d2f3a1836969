import { sign, verify } from 'node:crypto';
import { bufferOf, bytesOfHex } from '../model/bytes.ts';
import type { ClientId, DomainKeyId } from '../model/ids.ts';
import type { DomainKeys } from './domain-keys.ts';
import { signingKeyFromSeed, verifyingKey } from './signing.ts';
import { deriveKey } from './siv-box.ts';

/**
 * Shows a store, which knows no key, that a client knows the key of a domain that its keyring names (format F69): only then
 * may it share the domain's blocks with others.
 */
export interface DomainProof {
  /** Ed25519, 32 bytes: made from the domain key, so the same for everybody who knows that. */
  readonly key: Uint8Array;
  readonly signature: Uint8Array;
}

const NO_SALT = Buffer.alloc(0);

export function proveDomain({ domainKey, id }: DomainKeys, client: ClientId): DomainProof {
  const { publicKey, privateKey } = signingKeyFromSeed(
    deriveKey(domainKey, NO_SALT, 'lowtide/1/domain-proof'),
  );
  return { key: publicKey, signature: new Uint8Array(sign(null, textOf(client, id), privateKey)) };
}

/** Whether whoever made the proof for this client knew what `proof.key` was made from. */
export function isDomainProof(proof: DomainProof, client: ClientId, domain: DomainKeyId): boolean {
  return verify(null, textOf(client, domain), verifyingKey(proof.key), bufferOf(proof.signature));
}

function textOf(client: ClientId, domain: DomainKeyId): Buffer {
  return Buffer.concat([Buffer.from('lowtide/domain/1\0', 'utf8'), bytesOfHex(client), bytesOfHex(domain)]);
}
