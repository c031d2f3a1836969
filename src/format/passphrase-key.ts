import { argon2Sync } from 'node:crypto';

/** What one passphrase slot says of its key (format F77). */
export interface PassphraseCost {
  readonly salt: Uint8Array;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
}

export interface PassphraseInput extends PassphraseCost {
  readonly passphrase: string;
}

export const PASSPHRASE_KEY_BYTES = 32;

/**
 * argon2id: a fifth of a second on one processor, by intent. Check the cost of what somebody else wrote before.
 * The passphrase counts in Unicode normalisation form C, UTF-8, so that it can be typed on another keyboard.
 */
export function passphraseKey({ passphrase, salt, memoryKiB, passes, lanes }: PassphraseInput): Uint8Array {
  return argon2Sync('argon2id', {
    message: Buffer.from(passphrase.normalize('NFC'), 'utf8'),
    nonce: salt,
    parallelism: lanes,
    tagLength: PASSPHRASE_KEY_BYTES,
    memory: memoryKiB,
    passes,
  });
}

/** For a worker thread, where this file is all that must be loaded. */
export const passphraseTask = { module: import.meta.url, name: passphraseKey.name, run: passphraseKey };
