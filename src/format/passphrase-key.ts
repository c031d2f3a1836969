import { argon2, argon2Sync, type Argon2Parameters } from 'node:crypto';

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
export function passphraseKey(input: PassphraseInput): Uint8Array {
  return argon2Sync(ALGORITHM, parametersOf(input));
}

/** The same in a thread of the system's, which is there already: the caller's goes on. */
export function passphraseKeyBeside(input: PassphraseInput): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    argon2(ALGORITHM, parametersOf(input), (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

const ALGORITHM = 'argon2id';

function parametersOf({ passphrase, salt, memoryKiB, passes, lanes }: PassphraseInput): Argon2Parameters {
  return {
    message: Buffer.from(passphrase.normalize('NFC'), 'utf8'),
    nonce: salt,
    parallelism: lanes,
    tagLength: PASSPHRASE_KEY_BYTES,
    memory: memoryKiB,
    passes,
  };
}
