import { closesAt, openVoid } from '../format/void-record.ts';
import { findClient } from '../ledger/clients.ts';
import { copiesOf, setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import type { Database } from '../ledger/ledger.ts';
import { speaksFor } from '../ledger/members.ts';
import { findOffer, offersLeaningOn, removeOffer } from '../ledger/offers.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import type { Withdrawal } from '../protocol/messages.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import { closeUnseen } from './closed-unseen.ts';
import { isClosed, ownCopy } from './own-copy.ts';
import type { CollectorParts } from './parts.ts';
import { keepVoid, keptVoid } from './voids.ts';

/**
 * Closes a snapshot that its owner says can never be collected at the centers that the record names; with `centers`, at
 * those of them only. Nothing happens to a
 * copy that was receipted (promise P4) or closed before. What leans on it is behind from now on.
 * @returns snapshots that must not be planned any more, what leans on others before these
 * @throws LowtideError `no-such-snapshot`, `wrong-signature`, `damaged-manifest`, `bad-request`, `forbidden` if it names other centers
 */
export async function withdrawSnapshot(
  parts: CollectorParts,
  caller: ClientId,
  id: SnapshotId,
  { record, centers }: Withdrawal,
): Promise<readonly SnapshotId[]> {
  const { ledger, world, depot } = parts;
  const snapshot = await findSnapshot(ledger.db, id);
  if (snapshot === null) {
    await closeUnseen(parts, caller, id, record);
    return [];
  }
  if (!(await speaksFor(ledger.db, caller, snapshot.client)))
    throw new LowtideError('no-such-snapshot', 'there is no such snapshot here');
  const row = await findClient(ledger.db, snapshot.client);
  if (row === null) throw new LowtideError('not-enrolled', 'this client is not enrolled here');
  const signed = openVoid(record, row.instance_key);
  if (signed.snapshot !== id) throw new LowtideError('bad-request', 'the void record names another snapshot');
  const closes = (center: CenterId): boolean =>
    closesAt(signed, center) && (centers.length === 0 || centers.includes(center));
  if (parts.above === null && !closesAt(signed, parts.center.id))
    throw new LowtideError(
      'forbidden',
      'the void record closes this snapshot at other centers, and not here',
    );
  // Others have to be told, above and below, so it stays on record before anything else says that it is closed.
  await keepVoid(depot, id, record);
  const closed = await ledger.transaction((db) =>
    closeCopies(parts, db, { id, reason: signed.reason, closes }),
  );
  if (closed === null) return [];
  parts.above?.changed();
  if (closed.length === 0) return [];
  await depot.unpin(id);
  world.monitor.event({ kind: 'voided', snapshot: id, code: signed.reason });
  for (const leaning of closed.filter((each) => each !== id)) await closeStranded(parts, caller, leaning);
  return closed;
}

/**
 * If its owner had closed it here before it came, it is closed now that its base is not here and will not come: by that
 * word, whoever has brought it may let go of it (protocol R24).
 */
export async function closeStranded(parts: CollectorParts, caller: ClientId, id: SnapshotId): Promise<void> {
  const kept = await keptVoid(parts.depot, id);
  if (kept === null || !closesAt(kept.voidRecord, parts.center.id)) return;
  await withdrawSnapshot(parts, caller, id, { record: kept.bytes, centers: [] });
}

interface Closing {
  readonly id: SnapshotId;
  readonly reason: string;
  /** Whether its owner, and who brings it, mean this center. */
  readonly closes: (center: CenterId) => boolean;
}

/** Null if nothing was closed; nothing to plan differently if only what is above is closed. */
async function closeCopies(
  parts: CollectorParts,
  db: Database,
  { id, reason, closes }: Closing,
): Promise<readonly SnapshotId[] | null> {
  const { center, world } = parts;
  const now = world.clock.now();
  const copies = (await copiesOf(db, id)).filter(({ phase }) => phase !== 'safe' && phase !== 'void');
  const named = copies.filter((copy) => copy.center !== center.id && closes(copy.center));
  for (const { center: at } of named) {
    await setPhase(db, { snapshot: id, center: at, phase: 'void', code: 'voided', until: null }, now);
  }
  const owed = copies.some((copy) => copy.center !== center.id && !named.includes(copy));
  const own = await ownCopy(parts, db, id);
  const stays = parts.above === null && !closes(center.id);
  if (owed || stays || own === null || isClosed(parts, own.phase)) return named.length > 0 ? [] : null;
  await setPhase(db, { snapshot: id, center: center.id, phase: 'void', code: 'voided', until: null }, now);
  const offer = await findOffer(db, id);
  await removeOffer(db, id);
  // What came of it is there still, and counts.
  const came = offer === null ? {} : { client: offer.client, bytes: offer.received };
  await appendHistory(db, id, 'voided', now, { center: center.id, code: reason, ...came });
  const stranded = await leaningOn(db, id);
  for (const leaning of stranded) {
    const behind = { phase: 'behind', code: 'base-unknown', until: null } as const;
    await setPhase(db, { snapshot: leaning, center: center.id, ...behind }, now);
  }
  return [...stranded.toReversed(), id];
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
