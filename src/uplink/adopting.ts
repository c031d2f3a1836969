import { openReceipt } from '../format/receipt.ts';
import { findCopy, oweCopy } from '../ledger/copies.ts';
import { receiptedBases } from '../ledger/newest.ts';
import { supersededAt } from '../ledger/superseded.ts';
import { isLowtideError } from '../model/errors.ts';
import type { CopyRecord } from '../model/exchange.ts';
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
  for (const { id } of await receiptedBases(ledger.db)) {
    if ((await findCopy(ledger.db, id, upstream.id)) === null) strange.push(id);
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

/**
 * A branch may have led to a center before the machines below it heard of that: it keeps for the center what leans on
 * backups from before, and cannot bring it there. Once a later backup is safe there, its owner takes these copies for owed,
 * and closes them as it closes its own; relays between take them for owed first, so that it can ask them. Asked at the start
 * of a session, unless all was told before.
 * @param ask what the node above says of so many snapshots
 * @returns what is owed now, to be asked about
 */
export async function adoptKept(
  { ledger, upstream, node, client, centers, world }: UplinkWork,
  ask: (snapshots: readonly SnapshotId[]) => Promise<readonly CopyRecord[]>,
  most: number,
): Promise<readonly SnapshotId[]> {
  if (upstream.kind === 'center') return [];
  const adopted: SnapshotId[] = [];
  for (const { id: center } of centers) {
    const old = await supersededAt(ledger.db, node === null ? client : null, center);
    const fact = `superseded/${upstream.id}/${center}`;
    if (String(old.length) === ((await ledger.fact(fact)) ?? '0')) continue;
    const told: CopyRecord[] = [];
    for (let at = 0; at < old.length; at += most) told.push(...(await ask(old.slice(at, at + most))));
    const rows = told.filter((row) => row.center === center && old.includes(row.snapshot));
    const kept = rows.filter(({ phase }) => phase === 'behind' || phase === 'safe');
    for (const { snapshot } of kept) await oweCopy(ledger.db, snapshot, center, world.clock.now());
    adopted.push(...kept.map(({ snapshot }) => snapshot));
    // What is on its way may be behind later.
    const settled = rows.every((row) => row.phase === 'void' || kept.includes(row));
    if (settled) await ledger.setFact(fact, String(old.length - kept.length));
  }
  return adopted;
}

function isGood(bytes: Uint8Array, key: Uint8Array, snapshot: SnapshotId): boolean {
  try {
    return openReceipt(bytes, key).snapshot === snapshot;
  } catch (error) {
    if (isLowtideError(error)) return false;
    throw error;
  }
}
