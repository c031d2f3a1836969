import { parseManifest } from '../format/manifest.ts';
import { addHabits, habitsOf } from '../ledger/habits.ts';
import { findOffer, type Offer } from '../ledger/offers.ts';
import { newestCollected } from '../ledger/snapshots.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import { DAY_MS, type UnixMillis } from '../model/time.ts';
import type { PlannerEvent } from '../schedule/plan.ts';
import { paceSeen, type SeenStay, type SeenTransfer, staySeen } from '../schedule/seen.ts';
import { placeOf } from './conditions.ts';
import type { ActiveOrder } from './order-book.ts';
import type { ClientPlace, CollectorParts } from './parts.ts';

/** An offer with what the planner has to know of the past, and of whose it is. */
export interface QueuedOffer extends Offer {
  /** Taken-at of the job's newest snapshot that is here; null if there is none. */
  readonly lastCollected: UnixMillis | null;
  /** What the planner calls its job, and its place there. */
  readonly job: string;
  readonly sequence: number;
  /** The computer that took it, which may come by a relay. */
  readonly owner: ClientPlace;
}

/** A backup that seems to have been on its way for longer was dated by a wrong clock. */
const LONGEST_WAY_MS = 366 * DAY_MS;

/** Null if it is on offer no more. */
export async function queuedOffer(parts: CollectorParts, snapshot: SnapshotId): Promise<QueuedOffer | null> {
  const offer = await findOffer(parts.ledger.db, snapshot);
  if (offer === null) return null;
  const past = await pastOf(parts, offer);
  // It may have been committed or withdrawn meanwhile.
  const still = await findOffer(parts.ledger.db, snapshot);
  return still === null ? null : { ...still, ...past };
}

export async function pastOf(
  parts: CollectorParts,
  { manifest: bytes }: Offer,
): Promise<Omit<QueuedOffer, keyof Offer>> {
  const { ledger, center } = parts;
  const { manifest } = parseManifest(bytes);
  const copy = await newestCollected(ledger.db, center.id, manifest);
  return {
    job: `${manifest.instance}/${manifest.job}`,
    sequence: manifest.sequence,
    lastCollected: copy === null ? null : dateOf(copy),
    owner: await placeOf(parts, manifest.client, null),
  };
}

/** The computer's clock says when it was taken, unless that cannot be (S36): then its arrival counts. */
export function dateOf({ takenAt, arrivedAt }: { takenAt: UnixMillis; arrivedAt: UnixMillis }): UnixMillis {
  return takenAt > arrivedAt || takenAt < arrivedAt - LONGEST_WAY_MS ? arrivedAt : takenAt;
}

/** What the ledger has of a client's pace and stays, for a planner that has just begun; null if nothing. */
export async function habitEvent(
  { ledger, world }: CollectorParts,
  client: ClientId,
  line: string | null,
): Promise<PlannerEvent | null> {
  const { transfers, stays } = await habitsOf(ledger.db, client);
  const now = world.clock.now();
  const pace = paceSeen(transfers, now);
  const stay = staySeen(stays, now);
  if (pace === null && stay === null) return null;
  return {
    kind: 'learnt',
    client,
    line,
    bytesPerSecond: pace ?? 0,
    ...(stay === null ? {} : { session: stay }),
  };
}

/** Null before its first block was durable. */
export function transferOf({ beganAt, durable, received, lowestRate }: ActiveOrder): SeenTransfer | null {
  if (beganAt === null || durable === null) return null;
  return { endedAt: durable.at, bytes: received, ms: durable.monotonic - beganAt, granted: lowestRate };
}

export async function noteTransfer(
  { ledger }: CollectorParts,
  client: ClientId,
  transfer: SeenTransfer,
): Promise<void> {
  await ledger.transaction((db) => addHabits(db, client, { transfers: [transfer] }));
}

export async function noteStay({ ledger }: CollectorParts, client: ClientId, stay: SeenStay): Promise<void> {
  await ledger.transaction((db) => addHabits(db, client, { stays: [stay] }));
}
