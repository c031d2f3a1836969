import { copiesOf, findCopy, forgetCopy } from '../ledger/copies.ts';
import { removeOffer } from '../ledger/offers.ts';
import type { Database } from '../ledger/ledger.ts';
import type { CopyRow } from '../ledger/tables.ts';
import type { CopyPhase } from '../model/exchange.ts';
import { isLowtideError } from '../model/errors.ts';
import type { BlockId, CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import type { CollectorParts } from './parts.ts';

/** What a snapshot is called here once it has been collected whole: only at a center is it safe. */
export function arrivedPhase({ above }: Pick<CollectorParts, 'above'>): 'safe' | 'held' {
  return above === null ? 'safe' : 'held';
}

/** Not to be collected any more. */
export function isClosed(parts: Pick<CollectorParts, 'above'>, phase: CopyPhase): boolean {
  return phase === arrivedPhase(parts) || phase === 'void';
}

/** The copy that this node itself has or shall have. */
export async function ownCopy(
  { center }: Pick<CollectorParts, 'center'>,
  db: Database,
  snapshot: SnapshotId,
): Promise<CopyRow | null> {
  return await findCopy(db, snapshot, center.id);
}

/** Centers above that do not have it yet, as far as is known. */
async function owedAbove(
  { center, ledger }: Pick<CollectorParts, 'center' | 'ledger'>,
  snapshot: SnapshotId,
): Promise<CenterId[]> {
  const open = (await copiesOf(ledger.db, snapshot)).filter(
    ({ phase }) => phase !== 'safe' && phase !== 'void',
  );
  return open.map((copy) => copy.center).filter((id) => id !== center.id);
}

/** Of these blocks, those that need not come because every center owed has them; none if nobody can be asked now. */
export async function vouchedAbove(
  parts: Pick<CollectorParts, 'above' | 'center' | 'ledger'>,
  snapshot: SnapshotId,
  client: ClientId,
  ids: readonly BlockId[],
): Promise<ReadonlySet<BlockId>> {
  if (parts.above === null) return new Set();
  try {
    return await parts.above.stored(client, await owedAbove(parts, snapshot), ids);
  } catch (error) {
    if (isLowtideError(error)) return new Set();
    throw error;
  }
}

/** It is not collected here, because it has come elsewhere by another way. */
export async function forgetOwn(
  { center, ledger, depot }: Pick<CollectorParts, 'center' | 'ledger' | 'depot'>,
  snapshot: SnapshotId,
): Promise<void> {
  await ledger.transaction(async (db) => {
    await removeOffer(db, snapshot);
    await forgetCopy(db, snapshot, center.id);
  });
  await depot.unpin(snapshot);
}
