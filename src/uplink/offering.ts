import { type SignedManifest } from '../format/manifest.ts';
import { setPhase } from '../ledger/copies.ts';
import { appendHistory, hasHappened } from '../ledger/history.ts';
import { updateJob } from '../ledger/jobs.ts';
import { owedTo } from '../ledger/snapshots.ts';
import type { SnapshotRow } from '../ledger/tables.ts';
import type { CopyState, Wishes } from '../model/exchange.ts';
import { isLowtideError } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { UplinkParts } from './parts.ts';

/** Offers everything that is owed to this center and not safe there (SEED fig. 3, S3; fig. 12); withdraws what is void. */
export async function offerOwed(parts: UplinkParts, api: CenterApi): Promise<void> {
  for (const id of await parts.depot.voids()) await withdrawOne(parts, api, id);
  for (const row of await owedTo(parts.ledger.db, parts.center.id)) await offerOne(parts, api, row);
}

async function offerOne(parts: UplinkParts, api: CenterApi, row: SnapshotRow): Promise<void> {
  const { depot, ledger, center, world } = parts;
  const signed = await depot.manifest(row.id);
  const keyring = await depot.keyring(signed.manifest.keyring);
  const states = await api.offer(signed.bytes, keyring.bytes, await wishesFor(parts, signed, row));
  const state = states.find((copy) => copy.snapshot === row.id && copy.center === center.id);
  if (state === undefined) return;
  await noteState(parts, state);
  if (await hasHappened(ledger.db, row.id, 'offered', center.id)) return;
  const details = { center: center.id, bytes: row.new_bytes };
  await appendHistory(ledger.db, row.id, 'offered', world.clock.now(), details);
  world.monitor.event({ kind: 'offered', snapshot: row.id, center: center.id, bytes: row.new_bytes });
}

async function withdrawOne(parts: UplinkParts, api: CenterApi, id: SnapshotId): Promise<void> {
  const { depot, ledger, center, world } = parts;
  if (await hasHappened(ledger.db, id, 'voided', center.id)) return;
  const record = await depot.voidRecord(id);
  if (record === null) return;
  await api.withdraw(id, record).catch((error: unknown) => {
    if (!isLowtideError(error, 'no-such-snapshot')) throw error;
  });
  await appendHistory(ledger.db, id, 'voided', world.clock.now(), { center: center.id });
}

async function wishesFor(parts: UplinkParts, signed: SignedManifest, row: SnapshotRow): Promise<Wishes> {
  const job = await parts.job(signed.manifest.job);
  return {
    transfer: job?.transfer ?? 'any',
    zone: job?.zone ?? parts.world.clock.zone,
    centers: [parts.center.id],
    freeAfter: job?.freeAfter ?? 'centers',
    bytes: row.new_bytes,
    blocks: row.new_blocks,
  };
}

/** Takes over what the center says of a copy, except that it is safe: only a receipt says that. */
export async function noteState(parts: UplinkParts, state: CopyState): Promise<void> {
  const { phase } = state;
  if (phase === 'safe') return;
  const { ledger, world } = parts;
  await setPhase(ledger.db, { ...state, phase }, world.clock.now());
  if (phase !== 'behind') return;
  const row = await ledger.db
    .selectFrom('snapshots')
    .select('job')
    .where('id', '=', state.snapshot)
    .executeTakeFirst();
  if (row !== undefined) await updateJob(ledger.db, row.job, { full_needed: 1 });
}
