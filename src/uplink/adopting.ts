import { openReceipt } from '../format/receipt.ts';
import { findCopy, oweCopy } from '../ledger/copies.ts';
import { instancesOf, receiptedBases } from '../ledger/snapshots.ts';
import { isLowtideError } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { UplinkWork } from './parts.ts';
import { storeReceipt } from './receipts.ts';

/**
 * A center that was joined later may have by a pull what was collected before: of the newest snapshot of each job, its
 * receipt is taken over as if it had been owed to it. Without one nothing is owed: the spool may have freed it long ago.
 */
export async function adoptReceipts(work: UplinkWork, api: CenterApi): Promise<void> {
  const { ledger, upstream, node, world } = work;
  if (upstream.kind === 'relay' || node !== null) return;
  const strange: SnapshotId[] = [];
  for (const instance of await instancesOf(ledger.db)) {
    for (const { id } of await receiptedBases(ledger.db, instance)) {
      if ((await findCopy(ledger.db, id, upstream.id)) === null) strange.push(id);
    }
  }
  for (let at = 0; at < strange.length; at += world.limits.page_rows) {
    const { rows } = await api.copies({ snapshots: strange.slice(at, at + world.limits.page_rows) });
    for (const { snapshot, center, receipt } of rows) {
      if (receipt === null || center !== upstream.id || !strange.includes(snapshot)) continue;
      if (!isGood(receipt, upstream.receiptKey, snapshot)) continue;
      await oweCopy(ledger.db, snapshot, upstream.id, world.clock.now());
      await storeReceipt(work, snapshot, upstream, receipt);
    }
  }
}

function isGood(bytes: Uint8Array, key: Uint8Array, snapshot: SnapshotId): boolean {
  try {
    return openReceipt(bytes, key).snapshot === snapshot;
  } catch (error) {
    if (isLowtideError(error)) return false;
    throw error;
  }
}
