import { findCopy } from '../ledger/copies.ts';
import { downgradeCopy } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { updateJob } from '../ledger/jobs.ts';
import type { CopyRecord } from '../model/exchange.ts';
import { shortId, type SnapshotId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { noteState } from './offering.ts';
import type { UplinkParts } from './parts.ts';
import { storeReceipt } from './sending.ts';

/**
 * Compares what this center has of ours with what we believe (DESIGN 4.6). Receipts whose answer was lost are stored;
 * a snapshot that the center receipted and does not have any more is downgraded with an alarm, and the next
 * snapshot of its job gets no base.
 */
export async function reconcile(parts: UplinkParts, api: CenterApi, incarnation: string): Promise<void> {
  await collectAnswers(parts, api);
  const fact = `incarnation/${parts.center.id}`;
  const wentBack = await newestIsLost(parts, api);
  const changed = (await parts.ledger.fact(fact)) !== incarnation;
  if (wentBack || changed) await downgradeLost(parts, api);
  if (changed) await parts.ledger.setFact(fact, incarnation);
}

/** Takes over the center's word on everything that is not safe here yet. */
export async function collectAnswers(parts: UplinkParts, api: CenterApi): Promise<void> {
  const owed = await parts.ledger.db
    .selectFrom('copies')
    .select('snapshot')
    .where('center', '=', parts.center.id)
    .where('phase', 'not in', ['safe', 'void'])
    .execute();
  for (const { snapshot } of owed) {
    const record = await askCopy(parts, api, snapshot);
    if (record === null) continue;
    if (record.phase === 'safe' && record.receipt !== null)
      await storeReceipt(parts, snapshot, record.receipt);
    else await noteState(parts, record);
  }
}

async function askCopy(parts: UplinkParts, api: CenterApi, snapshot: SnapshotId): Promise<CopyRecord | null> {
  const page = await api.copies({ snapshot });
  return page.rows.find((row) => row.center === parts.center.id) ?? null;
}

/** High-water mark: the newest snapshot of each job that this center receipted must still be there. */
async function newestIsLost(parts: UplinkParts, api: CenterApi): Promise<boolean> {
  const newest = await parts.ledger.db
    .selectFrom('snapshots')
    .innerJoin('copies', 'copies.snapshot', 'snapshots.id')
    .select((e) => ['snapshots.id', 'snapshots.job', e.fn.max('snapshots.sequence').as('sequence')])
    .where('copies.center', '=', parts.center.id)
    .where('copies.phase', '=', 'safe')
    .where('snapshots.instance', '=', parts.instance)
    .groupBy('snapshots.job')
    .execute();
  for (const { id } of newest) if ((await askCopy(parts, api, id))?.phase !== 'safe') return true;
  return false;
}

async function downgradeLost(parts: UplinkParts, api: CenterApi): Promise<void> {
  const { ledger, center, world } = parts;
  const safe = await ledger.db
    .selectFrom('copies')
    .innerJoin('snapshots', 'snapshots.id', 'copies.snapshot')
    .select(['copies.snapshot', 'snapshots.job'])
    .where('copies.center', '=', center.id)
    .where('copies.phase', '=', 'safe')
    .execute();
  const there = await safeThere(parts, api);
  for (const { snapshot, job } of safe) {
    if (there.has(snapshot)) continue;
    const now = world.clock.now();
    await ledger.transaction(async (db) => {
      await downgradeCopy(db, snapshot, center.id, now);
      await appendHistory(db, snapshot, 'went-back', now, { center: center.id });
      await updateJob(db, job, { full_needed: 1 });
    });
    const message = `${center.name} does not have snapshot ${shortId(snapshot)} any more, which it receipted`;
    world.monitor.event({ kind: 'alarm', code: 'center-went-back', message });
  }
}

async function safeThere(parts: UplinkParts, api: CenterApi): Promise<Set<SnapshotId>> {
  const there = new Set<SnapshotId>();
  let after: string | null = null;
  do {
    const page: Awaited<ReturnType<CenterApi['copies']>> = await api.copies(after === null ? {} : { after });
    for (const row of page.rows) {
      if (row.center === parts.center.id && row.phase === 'safe') there.add(row.snapshot);
    }
    after = page.next;
  } while (after !== null);
  return there;
}

/** True if this copy is not owed any more. */
export async function isSettled(parts: UplinkParts, snapshot: SnapshotId): Promise<boolean> {
  const copy = await findCopy(parts.ledger.db, snapshot, parts.center.id);
  return copy === null || copy.phase === 'safe' || copy.phase === 'void';
}
