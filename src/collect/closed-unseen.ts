import { closesAt, openVoid, parseVoid } from '../format/void-record.ts';
import { findClient } from '../ledger/clients.ts';
import { appendHistory, countOf } from '../ledger/history.ts';
import { speaksFor } from '../ledger/members.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import { LowtideError } from '../model/errors.ts';
import type { CopyRecord } from '../model/exchange.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { CollectorParts } from './parts.ts';
import { keepVoid, keptVoid } from './voids.ts';

/** So many words of one machine about snapshots that are not here are kept (protocol R24). */
const WORDS_MAX = 1000;
/** What the history says of each. */
const UNSEEN = 'not here';

/**
 * Keeps the owner's word that a snapshot is closed which is not here: a relay that its owner has left may have it still,
 * and can hear of that from above only.
 * @throws LowtideError `no-such-snapshot` if nobody whom the caller speaks for has signed it, or too many are kept;
 *   `wrong-signature`, `damaged-manifest`, `bad-request`
 */
export async function closeUnseen(
  { ledger: { db }, depot, center, world, above }: CollectorParts,
  caller: ClientId,
  id: SnapshotId,
  record: Uint8Array,
): Promise<void> {
  const { client } = parseVoid(record).voidRecord;
  const row = await findClient(db, client);
  const kept = await countOf(db, { client, what: 'voided', center: center.id, code: UNSEEN });
  if (row === null || kept >= WORDS_MAX || !(await speaksFor(db, caller, client)))
    throw new LowtideError('no-such-snapshot', 'there is no such snapshot here');
  if (openVoid(record, row.instance_key).snapshot !== id)
    throw new LowtideError('bad-request', 'the void record names another snapshot');
  if (!(await keepVoid(depot, id, record))) return;
  await appendHistory(db, id, 'voided', world.clock.now(), { client, center: center.id, code: UNSEEN });
  above?.changed();
}

/** What is known of these, of what the caller may ask for: of what is not here, the owner's word that it is closed. */
export async function closedUnseen(
  { ledger: { db }, depot, center, above }: CollectorParts,
  caller: ClientId,
  ids: readonly SnapshotId[],
): Promise<CopyRecord[]> {
  const records: CopyRecord[] = [];
  for (const id of ids) {
    const kept = await keptVoid(depot, id);
    if (kept === null || (await findSnapshot(db, id)) !== null) continue;
    const { voidRecord, bytes } = kept;
    if (!(await speaksFor(db, caller, voidRecord.client))) continue;
    const named = above === null ? [center.id] : (voidRecord.centers ?? []);
    const { at: since } = voidRecord;
    for (const at of named.filter((each) => closesAt(voidRecord, each)))
      records.push({ snapshot: id, center: at, ...CLOSED, since, closing: bytes });
  }
  return records;
}

const CLOSED = {
  phase: 'void',
  code: 'voided',
  until: null,
  holder: null,
  receipt: null,
  manifest: null,
  hops: [],
} as const;
