import { openReceipt, type Receipt } from '../format/receipt.ts';
import { markSafe, setPhase } from '../ledger/copies.ts';
import { custodiesOf, putCustody } from '../ledger/custodies.ts';
import { appendHistory } from '../ledger/history.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { CenterFace } from '../model/exchange.ts';
import { shortId, type SnapshotId } from '../model/ids.ts';
import type { UplinkWork } from './parts.ts';

/**
 * Nothing is safe before this: the receipt must be signed by the key that the token or the operator named, and speak
 * of this snapshot. One that does not count is an alarm, and the copy needs somebody.
 */
export async function storeReceipt(
  work: UplinkWork,
  snapshot: SnapshotId,
  center: CenterFace,
  bytes: Uint8Array,
): Promise<void> {
  const { ledger, world, alarms } = work;
  const receipt = await openOrAlarm(work, snapshot, center, bytes);
  if (receipt === null) return;
  const now = world.clock.now();
  const { receivedAt: arrivedAt } = receipt;
  const fresh = await ledger.transaction(async (db) => {
    const copy = { snapshot, center: center.id, receipt: bytes, arrivedAt };
    if (!(await markSafe(db, copy, now))) return false;
    await appendHistory(db, snapshot, 'arrived', arrivedAt, { center: center.id, bytes: receipt.bytes });
    await appendHistory(db, snapshot, 'receipted', now, { center: center.id });
    return true;
  });
  if (!fresh) return;
  alarms.clear(`copy ${snapshot}`);
  world.monitor.event({ kind: 'receipted', snapshot, center: center.id, receipt: 'center' });
  work.onReceipt();
  work.onChange(snapshot);
}

/** The word of the relay above that it has the snapshot: not safe, but no longer here only. False if it does not count. */
export async function storeCustody(
  work: UplinkWork,
  snapshot: SnapshotId,
  bytes: Uint8Array,
): Promise<boolean> {
  const { ledger, world, upstream } = work;
  if (await isKnownCustody(work, snapshot, bytes)) return true;
  const receipt = await openOrAlarm(work, snapshot, upstream, bytes);
  if (receipt === null) return false;
  const now = world.clock.now();
  const fresh = await ledger.transaction(async (db) => {
    if (!(await putCustody(db, { snapshot, holder: upstream.id, receipt: bytes, since: now }))) return false;
    await appendHistory(db, snapshot, 'arrived', receipt.receivedAt, {
      center: upstream.id,
      bytes: receipt.bytes,
    });
    await appendHistory(db, snapshot, 'receipted', now, { center: upstream.id });
    return true;
  });
  if (fresh) world.monitor.event({ kind: 'receipted', snapshot, center: upstream.id, receipt: 'custody' });
  return true;
}

/** It is asked for with every answer from above, and was checked when it came first. */
async function isKnownCustody(
  { ledger, upstream }: UplinkWork,
  snapshot: SnapshotId,
  bytes: Uint8Array,
): Promise<boolean> {
  const known = (await custodiesOf(ledger.db, snapshot)).find(({ holder }) => holder === upstream.id);
  return known !== undefined && Buffer.compare(known.receipt, bytes) === 0;
}

async function openOrAlarm(
  work: UplinkWork,
  snapshot: SnapshotId,
  by: CenterFace,
  bytes: Uint8Array,
): Promise<Receipt | null> {
  const { ledger, world, alarms } = work;
  try {
    return await checked(work, snapshot, by, bytes);
  } catch (error) {
    if (!isLowtideError(error)) throw error;
    const { code } = error;
    const message = `${work.upstream.name} gave a receipt of ${by.name} for snapshot ${shortId(snapshot)} that does not count: ${error.message}`;
    alarms.raise(`copy ${snapshot}`, code, message);
    // A wrong signature alone would look like the center's word on ours.
    const stuck = { phase: 'stuck', code: 'damaged-receipt', until: null } as const;
    await setPhase(ledger.db, { snapshot, center: by.id, ...stuck }, world.clock.now());
    return null;
  }
}

async function checked(
  { ledger }: UplinkWork,
  snapshot: SnapshotId,
  by: CenterFace,
  bytes: Uint8Array,
): Promise<Receipt> {
  const receipt = openReceipt(bytes, by.receiptKey);
  const kind = by.kind === 'center' ? 'center' : 'custody';
  const owner = (await findSnapshot(ledger.db, snapshot))?.client;
  if (receipt.snapshot === snapshot && receipt.client === owner && receipt.kind === kind) return receipt;
  const what =
    receipt.kind === kind ? 'another snapshot' : receipt.kind === 'custody' ? 'custody only' : 'a center';
  throw new LowtideError('damaged-receipt', `it is for ${what}`);
}
