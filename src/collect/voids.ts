import type { Depot } from '../depot/depot.ts';
import { closesAt, parseVoid, type VoidRecord } from '../format/void-record.ts';
import { isLowtideError } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';

/** What the owner of a snapshot has signed to close it (format F47). */
export interface KeptVoid {
  readonly voidRecord: VoidRecord;
  readonly bytes: Uint8Array;
}

/** Null if there is none, or it is damaged: that must hide nothing else. */
export async function keptVoid(depot: Depot, id: SnapshotId): Promise<KeptVoid | null> {
  try {
    const bytes = await depot.voidRecord(id);
    return bytes === null ? null : { ...parseVoid(bytes), bytes };
  } catch (error) {
    if (isLowtideError(error, 'damaged-manifest')) return null;
    throw error;
  }
}

/** Durable when it resolves; false if what is kept says as much: one that comes late must not take the place of one that says more. */
export async function keepVoid(depot: Depot, id: SnapshotId, record: Uint8Array): Promise<boolean> {
  const before = await keptVoid(depot, id);
  const { centers } = parseVoid(record).voidRecord;
  if (before !== null && centers?.every((center) => closesAt(before.voidRecord, center)) === true)
    return false;
  await depot.putVoid(id, record);
  return true;
}
