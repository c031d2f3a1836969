import { signVoid } from '../format/void-record.ts';
import { setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import type { ErrorCode } from '../model/errors.ts';
import { shortId, type SnapshotId } from '../model/ids.ts';
import { needEverything } from './copy-states.ts';
import type { UplinkWork } from './parts.ts';

/**
 * The own spool cannot give what this center lacks of a snapshot (decision 0019). Its copy there is stuck, and with the
 * void record that is signed here the center forgets it, so that later ones can come; the next snapshot of the job has no
 * base. What is still good of it stays in the spool until a later one is safe.
 */
export async function giveUp(
  work: UplinkWork,
  snapshot: SnapshotId,
  code: ErrorCode,
  why: string,
): Promise<void> {
  const { depot, ledger, center, world, client, instance, signingKey } = work;
  const now = world.clock.now();
  const reason = `the spool of its client is damaged (${code})`;
  await depot.putVoid(snapshot, signVoid({ client, instance, snapshot, reason, at: now }, signingKey));
  await ledger.transaction(async (db) => {
    await setPhase(db, { snapshot, center: center.id, phase: 'stuck', code, until: null }, now);
    await appendHistory(db, snapshot, 'failed', now, { center: center.id, code });
    await needEverything(db, snapshot);
  });
  const job = (await findSnapshot(ledger.db, snapshot))?.job ?? 'its job';
  const message = `snapshot ${shortId(snapshot)} cannot be sent to ${center.name}: ${why}; the next backup of ${job} stores everything again`;
  work.alarms.raise(`copy ${snapshot}`, code, message);
}
