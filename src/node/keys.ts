import type { Depot } from '../depot/depot.ts';
import { addSlot, nextVersion, removeSlot } from '../format/keyring-edit.ts';
import { type OpenKeyring, signKeyring } from '../format/keyring.ts';
import type { Slot, SlotSpec } from '../format/keyring-slots.ts';
import type { SigningKey } from '../format/signing.ts';
import { LowtideError } from '../model/errors.ts';
import type { UnixMillis } from '../model/time.ts';
import type { World } from '../world/ports.ts';
import { makingIn } from './alone/alone.ts';

/** One way to open a keyring, for people. */
export interface KeyLine {
  readonly id: string;
  readonly kind: Slot['kind'];
  readonly label: string;
  readonly createdAt: UnixMillis;
}

export function keyLines(keyring: OpenKeyring): readonly KeyLine[] {
  return keyring.signed.keyring.slots.map(lineOf);
}

const lineOf = ({ id, kind, label, createdAt }: Slot): KeyLine => ({ id, kind, label, createdAt });

/** A keyring that can be changed: open, in a depot that is open to write, with the key that signs. */
export interface KeyDesk {
  readonly world: World;
  readonly depot: Depot;
  readonly keyring: OpenKeyring;
  readonly signingKey: SigningKey;
}

/** Durable when it resolves. */
export async function addKey(
  desk: KeyDesk,
  spec: SlotSpec,
): Promise<{ readonly keyring: OpenKeyring; readonly line: KeyLine }> {
  const draft = addSlot(desk.keyring, spec, makingIn(desk.world));
  const keyring = signKeyring(draft, desk.signingKey);
  await desk.depot.putKeyring(keyring.signed);
  return { keyring, line: lineOf(draft.slot) };
}

/**
 * @param text the slot's id or the first digits of it
 * @throws LowtideError `not-found`, `wrong-state` for the last slot and for the device's own
 */
export async function removeKey(
  desk: KeyDesk,
  text: string,
): Promise<{ readonly keyring: OpenKeyring; readonly line: KeyLine }> {
  const line = keyNamed(keyLines(desk.keyring), text);
  if (line.kind === 'device') {
    throw new LowtideError(
      'wrong-state',
      `key ${line.id} is what this machine itself opens its backups with: it stays`,
    );
  }
  const keyring = signKeyring(removeSlot(desk.keyring, line.id), desk.signingKey);
  await desk.depot.putKeyring(keyring.signed);
  return { keyring, line };
}

/**
 * The key of the domain that the machine writes under now, for others of its owner. A keyring that proves nothing of its
 * domains yet gets a version that does: stores let nobody share before they have seen that.
 */
export async function shareDomain(desk: KeyDesk): Promise<Uint8Array> {
  if (desk.keyring.signed.keyring.proofs === null) {
    const keyring = signKeyring(nextVersion(desk.keyring), desk.signingKey);
    await desk.depot.putKeyring(keyring.signed);
  }
  return desk.keyring.keys.newest.domainKey;
}

function keyNamed(lines: readonly KeyLine[], text: string): KeyLine {
  const matches = text === '' ? [] : lines.filter(({ id }) => id.startsWith(text.toLowerCase()));
  const [match] = matches;
  if (match !== undefined && matches.length === 1) return match;
  const what = match === undefined ? `there is no key ${text}` : `more than one key starts with ${text}`;
  throw new LowtideError('not-found', `${what}: 'lowtide key list' shows them`);
}
