import { sql } from 'kysely';
import type { Wishes } from '../model/exchange.ts';
import type { CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';
import { each, prepared } from './prepared.ts';
import type { OfferRow } from './tables.ts';

export interface Offer {
  readonly snapshot: SnapshotId;
  /** Who offers it here: its client, or a relay. */
  readonly client: ClientId;
  readonly manifest: Uint8Array;
  readonly wishes: Wishes;
  readonly offeredAt: UnixMillis;
  /** Bytes that are durable here already. */
  readonly received: number;
}

/** The newest wishes win, and with them who made them; when it was first offered stays. */
export async function putOffer(db: Database, offer: Omit<Offer, 'received'>): Promise<void> {
  const wishes = JSON.stringify(offer.wishes);
  await db
    .insertInto('offers')
    .values({
      snapshot: offer.snapshot,
      client: offer.client,
      manifest: offer.manifest,
      wishes,
      offered_at: offer.offeredAt,
      received: 0,
    })
    .onConflict((conflict) => conflict.column('snapshot').doUpdateSet({ wishes, client: offer.client }))
    .execute();
}

const OFFER = prepared((db, { snapshot }: { snapshot: SnapshotId }) =>
  db.selectFrom('offers').selectAll().where('snapshot', '=', snapshot),
);

export async function findOffer(db: Database, snapshot: SnapshotId): Promise<Offer | null> {
  const row = await OFFER.first(db, { snapshot });
  return row === null ? null : offerOf(row);
}

/** Everything on offer, oldest first. */
export async function listOffers(db: Database): Promise<Offer[]> {
  const rows = await db.selectFrom('offers').selectAll().orderBy('offered_at').orderBy('snapshot').execute();
  return rows.map(offerOf);
}

/** What the snapshots on offer lean on. */
export async function basesOffered(db: Database): Promise<SnapshotId[]> {
  const rows = await db
    .selectFrom('offers')
    .innerJoin('snapshots', 'snapshots.id', 'offers.snapshot')
    .select('snapshots.base')
    .where('snapshots.base', 'is not', null)
    .execute();
  return rows.map(({ base }) => base!);
}

/** The collection queue, oldest first: offers that only wait for their turn at `center`. */
export async function queuedOffers(db: Database, center: CenterId): Promise<Offer[]> {
  const rows = await db
    .selectFrom('offers')
    .innerJoin('copies', 'copies.snapshot', 'offers.snapshot')
    .selectAll('offers')
    .where('copies.center', '=', center)
    .where('copies.phase', 'in', ['waiting', 'in-transit'])
    .orderBy('offered_at')
    .orderBy('offers.snapshot')
    .execute();
  return rows.map(offerOf);
}

/** Offers of snapshots whose base is `base`. */
export async function offersLeaningOn(db: Database, base: SnapshotId): Promise<Offer[]> {
  const rows = await db
    .selectFrom('offers')
    .innerJoin('snapshots', 'snapshots.id', 'offers.snapshot')
    .selectAll('offers')
    .where('snapshots.base', '=', base)
    .orderBy('offers.snapshot')
    .execute();
  return rows.map(offerOf);
}

/** Offers that wait at `center` and are of the same job as `snapshot`. */
export async function offersOfChain(
  db: Database,
  snapshot: SnapshotId,
  center: CenterId,
): Promise<SnapshotId[]> {
  const rows = await db
    .selectFrom('snapshots as s')
    .innerJoin('snapshots as other', (join) =>
      join.onRef('other.instance', '=', 's.instance').onRef('other.job', '=', 's.job'),
    )
    .innerJoin('offers', 'offers.snapshot', 'other.id')
    .innerJoin('copies', 'copies.snapshot', 'other.id')
    .select('offers.snapshot')
    .where('s.id', '=', snapshot)
    .whereRef('other.sequence', '>', 's.sequence')
    .where('copies.center', '=', center)
    .where('copies.phase', 'in', ['waiting', 'in-transit'])
    .orderBy('other.sequence')
    .execute();
  return rows.map((row) => row.snapshot);
}

/** Made by machines that had joined this node, and have left it since. */
export async function offersOfLeft(db: Database): Promise<Pick<OfferRow, 'snapshot' | 'client'>[]> {
  return await db
    .selectFrom('offers')
    .innerJoin('members', (join) =>
      join.onRef('members.client', '=', 'offers.client').onRef('members.via', '=', 'offers.client'),
    )
    .select(['offers.snapshot', 'offers.client'])
    .where('members.left_at', 'is not', null)
    .execute();
}

export async function setSender(db: Database, snapshot: SnapshotId, client: ClientId): Promise<void> {
  await db.updateTable('offers').set({ client }).where('snapshot', '=', snapshot).execute();
}

export async function addReceived(
  db: Database,
  snapshot: SnapshotId,
  bytes: number,
  now: UnixMillis,
): Promise<void> {
  await db
    .updateTable('offers')
    .set((e) => ({ received: e('received', '+', bytes), came_at: now }))
    .where('snapshot', '=', snapshot)
    .execute();
}

/** A transfer that has begun. */
export interface Begun {
  readonly snapshot: SnapshotId;
  /** Bytes that it may bring yet, by what was announced. */
  readonly left: number;
}

/**
 * Transfers of which something has come, or that are among `admitted`: of those nothing may have come yet. Not what is offered by whom the
 * operator has shut out.
 */
export async function begunTransfers(db: Database, admitted: readonly SnapshotId[]): Promise<Begun[]> {
  return await BEGUN.rows(db, { admitted: JSON.stringify(admitted) });
}

const BEGUN = prepared((db, { admitted }: { admitted: string }) =>
  db
    .selectFrom('offers')
    .innerJoin('snapshots', 'snapshots.id', 'offers.snapshot')
    .innerJoin('clients', 'clients.id', 'offers.client')
    .select(['offers.snapshot', sql<number>`max(0, snapshots.new_bytes - offers.received)`.as('left')])
    .where('clients.revoked_at', 'is', null)
    .where((e) => e.or([e('received', '>', 0), e('offers.snapshot', 'in', each<SnapshotId>(admitted))])),
);

export const bytesLeft = (begun: readonly Begun[]): number => begun.reduce((sum, { left }) => sum + left, 0);

/** The least that anything which waits at `center` would bring; what has begun needs no more room. Null if nothing waits. */
export async function leastWaiting(db: Database, center: CenterId): Promise<number | null> {
  return (await LEAST.first(db, { center }))!.bytes;
}

const LEAST = prepared((db, { center }: { center: CenterId }) =>
  db
    .selectFrom('offers')
    .innerJoin('snapshots', 'snapshots.id', 'offers.snapshot')
    .innerJoin('copies', 'copies.snapshot', 'offers.snapshot')
    .select(
      sql<number | null>`min(case when offers.received > 0 then 0 else snapshots.new_bytes end)`.as('bytes'),
    )
    .where('copies.center', '=', center)
    .where('copies.phase', '=', 'waiting'),
);

/**
 * Gives up what has come of transfers of which nothing came since `before`, and of those whose client the operator has shut out.
 * @param except are under way
 * @returns whether there were any
 */
export async function giveUpTransfers(
  db: Database,
  before: UnixMillis,
  except: readonly SnapshotId[],
): Promise<boolean> {
  const shutOut = db.selectFrom('clients').select('id').where('revoked_at', 'is not', null);
  const { numUpdatedRows } = await db
    .updateTable('offers')
    .set({ received: 0 })
    .where('received', '>', 0)
    .where((e) => e.or([e(e.fn.coalesce('came_at', 'offered_at'), '<', before), e('client', 'in', shutOut)]))
    .$if(except.length > 0, (update) => update.where('snapshot', 'not in', except))
    .executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

export async function removeOffer(db: Database, snapshot: SnapshotId): Promise<void> {
  await db.deleteFrom('offers').where('snapshot', '=', snapshot).execute();
}

function offerOf(row: OfferRow): Offer {
  return {
    snapshot: row.snapshot,
    client: row.client,
    manifest: row.manifest,
    wishes: JSON.parse(row.wishes) as Wishes,
    offeredAt: row.offered_at,
    received: row.received,
  };
}
