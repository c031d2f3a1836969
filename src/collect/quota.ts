import { broughtBy, quotaOf } from '../ledger/quotas.ts';
import { LowtideError } from '../model/errors.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { CollectorParts } from './parts.ts';

/**
 * Called before anything of a snapshot is read, and again for what has come of it.
 * @param bytes that this snapshot takes, as far as is known
 * @throws LowtideError `quota-full` if its sender would have brought more than it may
 */
export async function requireRoom(
  { ledger, center, above }: CollectorParts,
  sender: ClientId,
  snapshot: SnapshotId,
  bytes: number,
): Promise<void> {
  const quota = await quotaOf(ledger.db, sender);
  if (quota === null) return;
  const counting = { node: center.id, keptOnly: above !== null, except: snapshot };
  const brought = await broughtBy(ledger.db, sender, counting);
  if (brought + bytes <= quota) return;
  throw new LowtideError(
    'quota-full',
    `${center.name} keeps ${quota} bytes for this sender, which has ${brought} there or on offer: its operator may raise that`,
  );
}
