import { type SignedManifest } from '../format/manifest.ts';
import { findCopy, setPhase } from '../ledger/copies.ts';
import { appendHistory, hasHappened } from '../ledger/history.ts';
import { owedTo } from '../ledger/snapshots.ts';
import type { SnapshotRow } from '../ledger/tables.ts';
import { type ErrorCode, errorRegistry, isLowtideError, type LowtideError } from '../model/errors.ts';
import type { Wishes } from '../model/exchange.ts';
import { shortId, type SnapshotId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { isDamagedHere, noteState } from './copy-states.ts';
import type { UplinkWork } from './parts.ts';
import { giveUp } from './giving-up.ts';

/** What has been offered in one session, with which wishes: the same is not offered twice. */
export type Offered = Map<SnapshotId, string>;

/** Refusals that are about the client and not about one snapshot of it. */
const SESSION_CODES: readonly ErrorCode[] = ['not-enrolled', 'revoked', 'clone-suspected', 'wrong-center'];

/**
 * Offers everything that is owed to this center and not safe there (SEED fig. 3, S3; fig. 12); withdraws what is closed.
 * A snapshot that cannot be offered does not keep the others from it.
 * @throws LowtideError if it is worth trying again later
 */
export async function offerOwed(work: UplinkWork, api: CenterApi, offered: Offered): Promise<void> {
  for (const row of await owedTo(work.ledger.db, work.center.id)) {
    await offerOne(work, api, row, offered).catch((error: unknown) => {
      if (!isLowtideError(error) || isForLater(error)) throw error;
      return refuse(work, row.id, error);
    });
  }
  for (const id of await work.depot.voids()) await withdrawOne(work, api, id);
}

const isForLater = ({ code }: LowtideError): boolean =>
  errorRegistry[code].retry || code === 'crashed' || code === 'disk-failed' || SESSION_CODES.includes(code);

async function offerOne(work: UplinkWork, api: CenterApi, row: SnapshotRow, offered: Offered): Promise<void> {
  const { ledger, center, world } = work;
  const copy = await findCopy(ledger.db, row.id, center.id);
  if (copy === null || isDamagedHere(copy)) return;
  const wishes = await wishesFor(work, row);
  if (offered.get(row.id) === JSON.stringify(wishes)) return;
  const records = await readRecords(work, row.id);
  if (records === null) return;
  const states = await api.offer(records.signed.bytes, records.keyring, wishes);
  offered.set(row.id, JSON.stringify(wishes));
  const state = states.find(({ snapshot, center: at }) => snapshot === row.id && at === center.id);
  if (state === undefined) return;
  await noteState(work, state);
  if (await hasHappened(ledger.db, row.id, 'offered', center.id)) return;
  await appendHistory(ledger.db, row.id, 'offered', world.clock.now(), {
    center: center.id,
    bytes: row.new_bytes,
  });
  world.monitor.event({ kind: 'offered', snapshot: row.id, center: center.id, bytes: row.new_bytes });
}

/** Null if the spool has lost them. */
async function readRecords(
  work: UplinkWork,
  snapshot: SnapshotId,
): Promise<{ signed: SignedManifest; keyring: Uint8Array } | null> {
  const { depot } = work;
  try {
    const signed = await depot.manifest(snapshot);
    const keyring = await depot.keyring(signed.manifest.keyring);
    return { signed, keyring: keyring.bytes };
  } catch (error) {
    if (!isLowtideError(error) || error.code === 'disk-failed') throw error;
    const isKeyring = error.code === 'not-found' || error.code === 'damaged-keyring';
    const code = isKeyring ? 'damaged-keyring' : 'damaged-manifest';
    await giveUp(work, snapshot, code, error.message);
    return null;
  }
}

/** The center will not have it as it is. */
async function refuse(
  { ledger, center, world, alarms }: UplinkWork,
  id: SnapshotId,
  error: LowtideError,
): Promise<void> {
  const stuck = { snapshot: id, center: center.id, phase: 'stuck', code: error.code, until: null } as const;
  await setPhase(ledger.db, stuck, world.clock.now());
  const message = `${center.name} refuses snapshot ${shortId(id)}: ${error.message}`;
  alarms.raise(`copy ${id}`, error.code, message);
}

/** Only where its owner has closed it: other centers may still get it. */
async function withdrawOne(work: UplinkWork, api: CenterApi, id: SnapshotId): Promise<void> {
  const { depot, ledger, center, world } = work;
  const copy = await findCopy(ledger.db, id, center.id);
  if (copy === null || (copy.phase !== 'void' && !isDamagedHere(copy))) return;
  if (await hasHappened(ledger.db, id, 'voided', center.id)) return;
  const record = await depot.voidRecord(id);
  if (record === null) return;
  await api.withdraw(id, record, [center.id]).catch((error: unknown) => {
    if (!isLowtideError(error, 'no-such-snapshot')) throw error;
  });
  await appendHistory(ledger.db, id, 'voided', world.clock.now(), { center: center.id });
}

/** By the job as it is now; once that is gone, by the job as it was: nothing travels at another hour than its owner said. */
async function wishesFor(work: UplinkWork, row: SnapshotRow): Promise<Wishes> {
  const job = await work.job(row.job);
  return {
    transfer: job?.transfer ?? row.transfer ?? 'any',
    zone: job?.zone ?? row.zone ?? work.world.clock.zone,
    centers: [work.center.id],
    freeAfter: job?.freeAfter ?? 'centers',
    bytes: row.new_bytes,
    blocks: row.new_blocks,
  };
}
