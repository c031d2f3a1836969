import { broughtBy, quotaOf } from '../ledger/quotas.ts';
import type { Database } from '../ledger/ledger.ts';
import { bytesText } from '../model/bytes-text.ts';
import { LowtideError } from '../model/errors.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { CollectorParts } from './parts.ts';

/**
 * Called before anything of a snapshot is read, again where it is recorded, because another may be offered at the same
 * time, and for what has come of it.
 * @param bytes that this snapshot takes, as far as is known
 * @throws LowtideError `quota-full` if its sender would have brought more than it may
 */
export async function requireRoom(
  { center, above }: CollectorParts,
  db: Database,
  sender: ClientId,
  snapshot: SnapshotId,
  bytes: number,
): Promise<void> {
  const quota = await quotaOf(db, sender);
  if (quota === null) return;
  const counting = { node: center.id, keptOnly: above !== null, except: snapshot };
  const brought = await broughtBy(db, sender, counting);
  if (brought + bytes <= quota) return;
  throw new LowtideError(
    'quota-full',
    `${center.name} keeps ${bytesText(quota)} for this sender, which has ${bytesText(brought)} there or on offer: its operator may raise that`,
  );
}
