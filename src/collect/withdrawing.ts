import { openVoid } from '../format/void-record.ts';
import { findClient } from '../ledger/clients.ts';
import { findCopy, setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import type { Database } from '../ledger/ledger.ts';
import { offersLeaningOn, removeOffer } from '../ledger/offers.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import { LowtideError } from '../model/errors.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { CollectorParts } from './parts.ts';

/**
 * Closes a snapshot that its owner says can never be collected. Nothing happens to one that was receipted (promise P4)
 * or closed before. What leans on it is behind from now on.
 * @returns snapshots that must not be planned any more, what leans on others before these
 * @throws LowtideError `no-such-snapshot`, `wrong-signature`, `damaged-manifest`, `bad-request`
 */
export async function withdrawSnapshot(
  parts: CollectorParts,
  client: ClientId,
  id: SnapshotId,
  record: Uint8Array,
): Promise<readonly SnapshotId[]> {
  const { ledger, center, world, depot } = parts;
  const snapshot = await findSnapshot(ledger.db, id);
  if (snapshot?.client !== client)
    throw new LowtideError('no-such-snapshot', 'there is no such snapshot here');
  const row = await findClient(ledger.db, client);
  if (row === null) throw new LowtideError('not-enrolled', 'this client is not enrolled here');
  const signed = openVoid(record, row.instance_key);
  if (signed.snapshot !== id) throw new LowtideError('bad-request', 'the void record names another snapshot');
  const now = world.clock.now();
  const closed = await ledger.transaction(async (db) => {
    const copy = await findCopy(db, id, center.id);
    if (copy === null || copy.phase === 'safe' || copy.phase === 'void') return null;
    await setPhase(db, { snapshot: id, center: center.id, phase: 'void', code: 'voided', until: null }, now);
    await removeOffer(db, id);
    await appendHistory(db, id, 'voided', now, { center: center.id, client, code: signed.reason });
    const stranded = await leaningOn(db, id);
    for (const leaning of stranded) {
      const behind = { phase: 'behind', code: 'base-unknown', until: null } as const;
      await setPhase(db, { snapshot: leaning, center: center.id, ...behind }, now);
    }
    return [...stranded.toReversed(), id];
  });
  if (closed === null) return [];
  await depot.unpin(id);
  world.monitor.event({ kind: 'voided', snapshot: id, code: signed.reason });
  return closed;
}

/** On offer, with this for a base, or with one of these; nearest first. */
async function leaningOn(db: Database, id: SnapshotId): Promise<SnapshotId[]> {
  const found: SnapshotId[] = [];
  for (let next: SnapshotId | undefined = id, at = 0; next !== undefined; next = found[at++]) {
    for (const { snapshot } of await offersLeaningOn(db, next)) {
      if (snapshot !== id && !found.includes(snapshot)) found.push(snapshot);
    }
  }
  return found;
}
