import { signLeaving } from '../format/membership.ts';
import type { SigningKey } from '../format/signing.ts';
import { leftAt, putLeaving } from '../ledger/leavings.ts';
import { Ledger } from '../ledger/ledger.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { World } from '../world/ports.ts';
import { withinPatience } from './asking.ts';

/** The machine that leaves. */
export interface Leaver {
  readonly world: World;
  readonly ledger: Ledger;
  readonly client: ClientId;
  /** Its name is `client`. */
  readonly key: SigningKey;
}

/** What it leaves. */
export interface Parting {
  readonly node: CenterId;
  readonly joinedAt: UnixMillis;
  readonly connect: () => Promise<CenterApi>;
  /** Durably when it resolves: from then on the node is left. */
  readonly forget: () => Promise<void>;
}

/**
 * Leaves a node above (format F62). The word is on record first; the node is left once it is forgotten; only then it is told,
 * if it answers as long as people like to wait. After a crash before that it hears of it from above: all other nodes that this
 * machine has joined, now or later, are told by its uplinks.
 * @returns why the node does not know of it now; '' if it does
 */
export async function partFrom(leaver: Leaver, parting: Parting): Promise<ErrorCode | ''> {
  const { world, ledger, client, key } = leaver;
  const { node: left, joinedAt, connect, forget } = parting;
  // A clock that was set back must not make it older than what it ends.
  const since = Math.max(joinedAt, (await leftAt(ledger.db, client, left)) ?? 0);
  const at = Math.max(world.clock.now(), since);
  const word = signLeaving({ client, instanceKey: key.publicKey, left, at }, key);
  await ledger.transaction((db) => putLeaving(db, { client, instanceKey: key.publicKey, left, at }, word));
  await forget();
  let code: ErrorCode | '' = 'center-unreachable';
  const tell = async (): Promise<void> => {
    try {
      await (await connect()).left([word]);
      code = '';
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      // One that lets this machine in no more, or never knew it, waits for nothing.
      code = error.code === 'not-enrolled' ? '' : error.code;
    }
  };
  await withinPatience(world.clock, tell());
  return code;
}

/**
 * When a machine that joins left that node last: what it signs now must be newer.
 * @param path of its ledger; it may not be there yet, or be an older program's
 */
export async function lastLeft(
  world: World,
  path: string,
  client: ClientId,
  node: CenterId,
): Promise<UnixMillis | null> {
  try {
    const ledger = await Ledger.openReadOnly(world, path);
    try {
      return await leftAt(ledger.db, client, node);
    } finally {
      await ledger.close();
    }
  } catch (error) {
    if (isLowtideError(error, 'not-found', 'wrong-state')) return null;
    throw error;
  }
}
