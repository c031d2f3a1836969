import { copiesOf, setPhase } from '../ledger/copies.ts';
import { allCustodies, custodiesOf, dropCustody } from '../ledger/custodies.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { CopyRow } from '../ledger/tables.ts';
import type { CenterId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Holder, UplinkParts } from './parts.ts';

type Losing = Pick<UplinkParts, 'world' | 'ledger' | 'sender' | 'node'>;

/**
 * A relay above does not have any more what it had in custody. What is here still waits to be offered again; of what was
 * freed on that relay's word, its owner hears. False if it had nothing.
 */
export async function loseCustody(
  { ledger, world, sender, node }: Losing,
  snapshot: SnapshotId,
  holder: Holder & { readonly id: CenterId },
): Promise<boolean> {
  const custodies = await custodiesOf(ledger.db, snapshot);
  if (!custodies.some((custody) => custody.holder === holder.id)) return false;
  const row = await findSnapshot(ledger.db, snapshot);
  // A relay's own custody is its own to keep, and stays on record when all is safe.
  const held = (await copiesOf(ledger.db, snapshot)).filter(
    ({ phase, center }) => phase === 'held' && center !== node,
  );
  if (row !== null && held.length > 0 && custodies.length === 1) {
    if (row.pack_group === null) await sender.custodyLost(snapshot, holder);
    else await waitAgain(ledger, held, world.clock.now());
  }
  // Last: what a crash before this leaves undone is done when it is heard of again.
  await dropCustody(ledger.db, snapshot, holder.id);
  return true;
}

async function waitAgain({ db }: Ledger, held: readonly CopyRow[], now: UnixMillis): Promise<void> {
  for (const { snapshot, center } of held) {
    await setPhase(db, { snapshot, center, phase: 'waiting', code: 'custody-lost', until: null }, now);
  }
}

/** The custody of relays that this node has left, or that are no more, counts for nothing. */
export async function loseCustodyOfOthers(losing: Losing, upstreams: readonly CenterId[]): Promise<void> {
  for (const { snapshot, holder } of await allCustodies(losing.ledger.db)) {
    if (upstreams.includes(holder)) continue;
    const copies = await copiesOf(losing.ledger.db, snapshot);
    const name = copies.find((copy) => copy.holder !== null)?.holder ?? `relay ${holder.slice(0, 12)}`;
    await loseCustody(losing, snapshot, { id: holder, name, wasLeft: true });
  }
}
