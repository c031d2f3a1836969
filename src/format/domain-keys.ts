import { createHmac } from 'node:crypto';
import { LowtideError } from '../model/errors.ts';
import type { ChunkDigest, DomainKeyId } from '../model/ids.ts';
import { deriveKey } from './siv-box.ts';

/** The keys of one epoch of one dedup domain, all derived from its 32-byte domain key (format F6). Never stored. */
export interface DomainKeys {
  readonly id: DomainKeyId;
  /** The 16 bytes of `id`. */
  readonly idBytes: Uint8Array;
  readonly domainKey: Uint8Array;
  readonly chunk: Buffer;
  readonly siv: Buffer;
  readonly seal: Buffer;
  readonly page: Buffer;
  readonly manifest: Buffer;
  /** Keyed table of the chunker, 256 words (format F12). */
  readonly gear: Uint32Array;
}

const NO_SALT = Buffer.alloc(0);
const GEAR_WORDS = 256;

export function deriveDomainKeys(domainKey: Uint8Array): DomainKeys {
  const derive = (label: string): Buffer => deriveKey(domainKey, NO_SALT, `lowtide/1/${label}`);
  const idBytes = derive('domain-id').subarray(0, 16);
  return {
    id: idBytes.toString('hex') as DomainKeyId,
    idBytes,
    domainKey,
    chunk: derive('chunk'),
    siv: derive('siv'),
    seal: derive('seal'),
    page: derive('page'),
    manifest: derive('manifest'),
    gear: gearTable(derive('gear')),
  };
}

/** Word i is the first four bytes, big-endian, of HMAC-SHA-256(K_gear, byte i). */
function gearTable(key: Buffer): Uint32Array {
  const table = new Uint32Array(GEAR_WORDS);
  for (let byte = 0; byte < GEAR_WORDS; byte++) {
    table[byte] = createHmac('sha256', key).update(Uint8Array.of(byte)).digest().readUInt32BE(0);
  }
  return table;
}

export function chunkDigest(keys: DomainKeys, plaintext: Uint8Array): ChunkDigest {
  return createHmac('sha256', keys.chunk).update(plaintext).digest('hex') as ChunkDigest;
}

/** The key epochs that a keyring opened: what a reader needs to open blocks. */
export class KeyStore {
  readonly #keys: ReadonlyMap<DomainKeyId, DomainKeys>;
  /** Oldest first. */
  readonly epochs: readonly DomainKeys[];
  /** The newest epoch: what a writer seals under. */
  readonly newest: DomainKeys;

  /** @param epochs oldest first, at least one */
  constructor(epochs: readonly DomainKeys[]) {
    const newest = epochs.at(-1);
    if (newest === undefined) throw new TypeError('a key store needs at least one epoch');
    this.epochs = epochs;
    this.newest = newest;
    this.#keys = new Map(epochs.map((keys) => [keys.id, keys]));
  }

  /** @throws LowtideError `no-key` */
  find(id: DomainKeyId): DomainKeys {
    const keys = this.#keys.get(id);
    if (keys === undefined) {
      throw new LowtideError(
        'no-key',
        `this key opens nothing of domain ${id.slice(0, 8)}: it belongs to another client`,
      );
    }
    return keys;
  }
}
