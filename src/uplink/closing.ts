import type { Depot } from '../depot/depot.ts';
import type { SigningKey } from '../format/signing.ts';
import { closesAt, parseVoid, signVoid } from '../format/void-record.ts';
import { isLowtideError } from '../model/errors.ts';
import type { CenterId, ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import type { World } from '../world/ports.ts';

/** Who closes snapshots: their owner only. */
export interface Closer {
  readonly world: World;
  readonly depot: Depot;
  readonly client: ClientId;
  readonly instance: InstanceId;
  readonly signingKey: SigningKey;
}

/**
 * The owner's signed word that a snapshot is closed at these centers, and where it was closed before (format F48). Durable
 * when it resolves.
 */
export async function closeAt(
  { world, depot, client, instance, signingKey }: Closer,
  snapshot: SnapshotId,
  centers: readonly CenterId[],
  reason: string,
): Promise<Uint8Array> {
  // One that cannot be read is written anew.
  const known = await depot.voidRecord(snapshot).catch((error: unknown) => {
    if (isLowtideError(error, 'damaged-manifest')) return null;
    throw error;
  });
  const before = known === null ? null : parseVoid(known).voidRecord;
  if (known !== null && before !== null && centers.every((center) => closesAt(before, center))) return known;
  const at = world.clock.now();
  const all = [...new Set([...(before?.centers ?? []), ...centers])].sort();
  const record = signVoid({ client, instance, snapshot, reason, at, centers: all }, signingKey);
  await depot.putVoid(snapshot, record);
  return record;
}

/** Whether there is such a word for `center`. */
export async function isClosedAt(depot: Depot, snapshot: SnapshotId, center: CenterId): Promise<boolean> {
  const record = await depot.voidRecord(snapshot);
  return record !== null && closesAt(parseVoid(record).voidRecord, center);
}
