import { openReceipt, type Receipt } from '../format/receipt.ts';
import { markSafe, setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { shortId, type SnapshotId } from '../model/ids.ts';
import type { UplinkWork } from './parts.ts';

/**
 * Nothing is safe before this: the receipt must be signed by the key that the token or the operator named, and speak
 * of this snapshot. One that does not count is an alarm, and the copy needs somebody.
 */
export async function storeReceipt(work: UplinkWork, snapshot: SnapshotId, bytes: Uint8Array): Promise<void> {
  const { ledger, center, world, alarms } = work;
  const now = world.clock.now();
  let receipt: Receipt;
  try {
    receipt = checked(work, snapshot, bytes);
  } catch (error) {
    if (!isLowtideError(error)) throw error;
    const { code } = error;
    const message = `${center.name} gave a receipt for snapshot ${shortId(snapshot)} that does not count: ${error.message}`;
    alarms.raise(`copy ${snapshot}`, code, message);
    const stuck = { phase: 'stuck', code, until: null } as const;
    await setPhase(ledger.db, { snapshot, center: center.id, ...stuck }, now);
    return;
  }
  const { receivedAt: arrivedAt } = receipt;
  const fresh = await ledger.transaction(async (db) => {
    const isNew = await markSafe(db, { snapshot, center: center.id, receipt: bytes, arrivedAt }, now);
    if (!isNew) return false;
    await appendHistory(db, snapshot, 'arrived', arrivedAt, { center: center.id, bytes: receipt.bytes });
    await appendHistory(db, snapshot, 'receipted', now, { center: center.id });
    return true;
  });
  if (!fresh) return;
  alarms.clear(`copy ${snapshot}`);
  world.monitor.event({ kind: 'receipted', snapshot, center: center.id, receipt: 'center' });
  work.onReceipt();
}

function checked({ center, client }: UplinkWork, snapshot: SnapshotId, bytes: Uint8Array): Receipt {
  const receipt = openReceipt(bytes, center.receiptKey);
  const right = receipt.snapshot === snapshot && receipt.client === client && receipt.kind === 'center';
  if (right) return receipt;
  const what = receipt.kind === 'center' ? 'another snapshot' : 'custody only';
  throw new LowtideError('damaged-receipt', `it is for ${what}`);
}
