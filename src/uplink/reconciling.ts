import { copiesIn, downgradeCopy, OPEN_PHASES, setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { findSnapshot, newestSafeAt } from '../ledger/snapshots.ts';
import type { CopyRow } from '../ledger/tables.ts';
import type { CopyRecord } from '../model/exchange.ts';
import { shortId, type SnapshotId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { needEverything, noteState } from './copy-states.ts';
import type { UplinkWork } from './parts.ts';
import { storeReceipt } from './receipts.ts';

/**
 * Compares what this center has of ours with what we believe (DESIGN 4.6). Receipts whose answer was lost are stored;
 * a snapshot that the center receipted and does not have any more is downgraded with an alarm, and the next
 * snapshot of its job gets no base.
 */
export async function reconcile(work: UplinkWork, api: CenterApi, incarnation: string): Promise<void> {
  await collectAnswers(work, api);
  const fact = `incarnation/${work.center.id}`;
  const wentBack = await newestIsLost(work, api);
  const changed = (await work.ledger.fact(fact)) !== incarnation;
  if (wentBack || changed) await downgradeLost(work, api);
  if (changed) await work.ledger.setFact(fact, incarnation);
}

/** Takes over the center's word on everything that is not safe here yet. */
export async function collectAnswers(work: UplinkWork, api: CenterApi): Promise<void> {
  const { ledger, center } = work;
  for (const copy of await copiesIn(ledger.db, center.id, OPEN_PHASES)) await collectAnswer(work, api, copy);
}

/** Of one copy: it may have come although nobody heard of it. */
export async function collectAnswer(
  work: UplinkWork,
  api: CenterApi,
  { snapshot, phase }: Pick<CopyRow, 'snapshot' | 'phase'>,
): Promise<void> {
  const record = await askCopy(work, api, snapshot);
  if (record === null) {
    if (phase !== 'behind') await noteUnknown(work, snapshot);
  } else if (record.phase === 'safe' && record.receipt !== null) {
    await storeReceipt(work, snapshot, record.receipt);
  } else await noteState(work, record);
}

/** The center has never heard of it. If it is in the spool, it is offered; if not, it can only be replaced. */
async function noteUnknown({ ledger, center, world }: UplinkWork, snapshot: SnapshotId): Promise<void> {
  const row = await findSnapshot(ledger.db, snapshot);
  if (row === null || row.pack_group !== null) return;
  const behind = { phase: 'behind', code: 'center-went-back', until: null } as const;
  await setPhase(ledger.db, { snapshot, center: center.id, ...behind }, world.clock.now());
  await needEverything(ledger.db, snapshot);
}

async function askCopy(work: UplinkWork, api: CenterApi, snapshot: SnapshotId): Promise<CopyRecord | null> {
  const page = await api.copies({ snapshots: [snapshot] });
  const own = page.rows.find((row) => row.center === work.center.id && row.snapshot === snapshot);
  return own ?? null;
}

/** High-water mark: the newest snapshot of each job that this center receipted must still be there. */
async function newestIsLost(work: UplinkWork, api: CenterApi): Promise<boolean> {
  const { ledger, center, instance } = work;
  for (const { id } of await newestSafeAt(ledger.db, center.id, instance)) {
    if ((await askCopy(work, api, id))?.phase !== 'safe') return true;
  }
  return false;
}

async function downgradeLost(work: UplinkWork, api: CenterApi): Promise<void> {
  const { ledger, center, world } = work;
  const safe = await copiesIn(ledger.db, center.id, ['safe']);
  const there = await safeThere(work, api);
  for (const { snapshot } of safe) {
    if (there.has(snapshot)) continue;
    const now = world.clock.now();
    await ledger.transaction(async (db) => {
      await downgradeCopy(db, snapshot, center.id, now);
      await appendHistory(db, snapshot, 'went-back', now, { center: center.id });
      await needEverything(db, snapshot);
    });
    const message = `${center.name} does not have snapshot ${shortId(snapshot)} any more, which it receipted`;
    world.monitor.event({ kind: 'alarm', code: 'center-went-back', message });
  }
}

async function safeThere(work: UplinkWork, api: CenterApi): Promise<Set<SnapshotId>> {
  const there = new Set<SnapshotId>();
  let after: string | null = null;
  do {
    const page: Awaited<ReturnType<CenterApi['copies']>> = await api.copies(after === null ? {} : { after });
    for (const row of page.rows) {
      if (row.center === work.center.id && row.phase === 'safe') there.add(row.snapshot);
    }
    // A center that gives the same page again and again must not keep us for ever.
    after = page.next === after ? null : page.next;
  } while (after !== null);
  return there;
}
