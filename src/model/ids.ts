import { LowtideError } from './errors.ts';

/** A string or number that must not be mistaken for another of the same shape. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** SHA-256 of a block's sealed bytes, 64 lowercase hex digits (format F3). */
export type BlockId = Brand<string, 'BlockId'>;
/** SHA-256 of a manifest's unsigned body, 64 lowercase hex digits (format F40). */
export type SnapshotId = Brand<string, 'SnapshotId'>;
/** HMAC-SHA-256(K_chunk, plaintext), 64 lowercase hex digits: only ever inside sealed bytes (format F10). */
export type ChunkDigest = Brand<string, 'ChunkDigest'>;
/** SHA-256 of a keyring's unsigned body, 64 lowercase hex digits. */
export type KeyringHash = Brand<string, 'KeyringHash'>;
/** Names one key epoch of one dedup domain, 32 lowercase hex digits (format F5). */
export type DomainKeyId = Brand<string, 'DomainKeyId'>;
/** The instance id of a client's first instance, 32 lowercase hex digits. Stays the same everywhere and for ever. */
export type ClientId = Brand<string, 'ClientId'>;
/** First half of SHA-256 of an instance's Ed25519 public key, 32 lowercase hex digits. */
export type InstanceId = Brand<string, 'InstanceId'>;
/** Who receipts: first half of SHA-256 of a center's receipt public key, or of a relay's, 32 lowercase hex digits. */
export type CenterId = Brand<string, 'CenterId'>;
/** One order of a center to one client to send one snapshot, 32 lowercase hex digits. */
export type OrderId = Brand<string, 'OrderId'>;

const parser =
  <Id extends string>(what: string, digits: number) =>
  (text: unknown): Id => {
    if (typeof text !== 'string' || text.length !== digits || !/^[0-9a-f]+$/.test(text)) {
      throw new LowtideError('bad-id', `${what} must be ${digits} lowercase hex digits`);
    }
    return text as Id;
  };

export const parseBlockId = parser<BlockId>('a block id', 64);
export const parseSnapshotId = parser<SnapshotId>('a snapshot id', 64);
export const parseChunkDigest = parser<ChunkDigest>('a chunk digest', 64);
export const parseKeyringHash = parser<KeyringHash>('a keyring hash', 64);
export const parseDomainKeyId = parser<DomainKeyId>('a domain key id', 32);
export const parseClientId = parser<ClientId>('a client id', 32);
export const parseInstanceId = parser<InstanceId>('an instance id', 32);
export const parseCenterId = parser<CenterId>('a center id', 32);
export const parseOrderId = parser<OrderId>('an order id', 32);

/** The first 12 digits: enough for people and messages. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
