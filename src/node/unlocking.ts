import { Records } from '../depot/records.ts';
import {
  type OpenKeyring,
  type SignedKeyring,
  unlockKeyring,
  unlockKeyringBeside,
} from '../format/keyring.ts';
import type { Derive, Secret } from '../format/keyring-slots.ts';
import { passphraseKeyBeside } from '../format/passphrase-key.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { Limits } from '../model/limits.ts';
import type { World } from '../world/ports.ts';

/** A depot's keyrings being opened while its index is, and while code is loaded. */
export interface Unlocking {
  /** Those that were there when it began. */
  readonly keyrings: readonly SignedKeyring[];
  readonly opened: Promise<OpenKeyring>;
}

/**
 * Resolves as soon as a password's key is being derived, in a thread of the system's. It looks before anybody has the
 * depot's lock and throws nothing: whoever opens the depot compares the keyrings, and says what is wrong.
 */
export async function beginUnlocking(
  { disk, limits }: Pick<World, 'disk' | 'limits'>,
  path: string,
  secret: Secret,
  derive: Derive = passphraseKeyBeside,
): Promise<Unlocking> {
  const keyrings = await new Records(disk, limits, path).keyrings().catch(() => []);
  const opened = unlockAny(limits, path, keyrings, secret, derive);
  opened.catch(() => undefined);
  return { keyrings, opened };
}

/**
 * A center's store has keyrings of many clients: the secret opens that of one.
 * @param derive where a password's keys are derived; here, if it is not given
 * @throws LowtideError `wrong-password`, `wrong-key`, `damaged-keyring`
 */
export async function unlockAny(
  limits: Limits,
  depot: string,
  keyrings: readonly SignedKeyring[],
  secret: Secret,
  derive?: Derive,
): Promise<OpenKeyring> {
  const newest = new Map<string, SignedKeyring>();
  for (const signed of keyrings) newest.set(signed.keyring.client, signed);
  if (newest.size === 0) {
    throw new LowtideError(
      'damaged-keyring',
      `the depot ${depot} has no keyring, so nothing in it can be read: put the files of its keyrings back`,
    );
  }
  let refusal: unknown;
  for (const signed of newest.values()) {
    try {
      if (derive === undefined) return unlockKeyring(signed, secret, limits);
      return await unlockKeyringBeside(signed, secret, limits, derive);
    } catch (error) {
      if (!isLowtideError(error, 'wrong-password', 'wrong-key', 'damaged-keyring')) throw error;
      if (refusal === undefined || !isLowtideError(error, 'wrong-password', 'wrong-key')) refusal = error;
    }
  }
  throw refusal;
}

/** Whether a depot has the very keyrings that an unlocking began with. */
export function isOf(unlocking: Unlocking, keyrings: readonly SignedKeyring[]): boolean {
  const hashes = (of: readonly SignedKeyring[]): string => of.map(({ hash }) => hash).join();
  return hashes(unlocking.keyrings) === hashes(keyrings);
}
