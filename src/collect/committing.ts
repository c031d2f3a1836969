import { parseManifest, type SignedManifest } from '../format/manifest.ts';
import { signReceipt } from '../format/receipt.ts';
import { markArrived, setPhase } from '../ledger/copies.ts';
import { judgeForecast } from '../ledger/forecasts.ts';
import { appendHistory } from '../ledger/history.ts';
import { findOffer, offersLeaningOn, offersOfChain, removeOffer } from '../ledger/offers.ts';
import type { Database } from '../ledger/ledger.ts';
import { setPackGroup } from '../ledger/snapshots.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId, DomainKeyId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { CommitAnswer } from '../protocol/center-api.ts';
import type { Collector } from './collector.ts';
import type { ActiveOrder } from './order-book.ts';
import { arrivedPhase, ownCopy, vouchedAbove } from './own-copy.ts';
import type { CollectorParts } from './parts.ts';
import { queuedOffer } from './past.ts';
import { SHARED_GROUP } from './receiving.ts';
import { isBaseHere } from './reception.ts';

/** Who commits. */
export interface Committer {
  readonly order: ActiveOrder;
  readonly domains: ReadonlySet<DomainKeyId>;
  readonly address: string | null;
}

interface Arrival {
  readonly order: ActiveOrder;
  readonly custody: boolean;
  readonly signed: SignedManifest;
  readonly domains: ReadonlySet<DomainKeyId>;
  readonly address: string | null;
  /** When the last block was durable. */
  readonly receivedAt: UnixMillis;
  readonly receivedBytes: number;
}

/**
 * `CenterApi.commit`. A snapshot that has its receipt gets it again, whatever became of the order.
 * @param from null to only ask for the receipt again
 * @throws LowtideError `base-unknown`, `wrong-state` if it is not on offer, `damaged-page` and what the disk says
 */
export async function commitOrder(
  collector: Collector,
  snapshot: SnapshotId,
  from: Committer | null,
): Promise<CommitAnswer> {
  const { parts } = collector;
  const { ledger, world } = parts;
  const offer = from === null ? null : await findOffer(ledger.db, snapshot);
  let receipt: Uint8Array | null;
  if (from === null || offer === null) receipt = await knownReceipt(parts, ledger.db, snapshot);
  else {
    const answer = await commitSnapshot(parts, {
      ...from,
      signed: parseManifest(offer.manifest),
      receivedAt: from.order.durable?.at ?? world.clock.now(),
      receivedBytes: offer.received,
      custody: offer.wishes.freeAfter === 'custody',
    });
    if (answer.kind === 'missing') return answer;
    receipt = answer.receipt;
  }
  if (receipt === null) throw notOnOffer();
  if (from !== null) collector.orders.end(from.order, 'committed', '');
  // Also if the order had ended already: nobody shall be ordered to send this again.
  await closed(collector, snapshot);
  return { kind: 'receipt', receipt };
}

/** Nothing of it is collected any more; what was offered before it and leans on it can be. */
export async function closed(collector: Collector, snapshot: SnapshotId): Promise<void> {
  collector.queue.drop(snapshot);
  const { parts, queue } = collector;
  const leaning = await baseHasCome(parts, snapshot);
  // What waits of the same job is not so late any more.
  const waiting = await offersOfChain(parts.ledger.db, snapshot, parts.center.id);
  for (const id of new Set([...leaning, ...waiting])) {
    const offer = await queuedOffer(parts, id);
    if (offer !== null) queue.put(offer);
  }
}

/**
 * Closes a snapshot (SEED fig. 5, S5): pins its blocks by a durable intent, checks the closure through the durable
 * index, puts the manifest (the commit point), then the receipt into the ledger, and only then answers.
 */
async function commitSnapshot(parts: CollectorParts, arrival: Arrival): Promise<CommitAnswer> {
  const { depot } = parts;
  const { signed } = arrival;
  const known = await knownReceipt(parts, parts.ledger.db, signed.id);
  if (known !== null) return { kind: 'receipt', receipt: known };
  const base = await receiptedBase(parts, signed);
  await depot.pin(signed.id, signed.manifest.refs);
  const missing = await missingHere(parts, arrival, base);
  if (missing.length > 0) return { kind: 'missing', missing };
  await depot.putManifest(signed);
  const { receipt, fresh } = await recordArrival(parts, arrival);
  // What a relay has in custody stays pinned until it was passed on.
  if (parts.above === null) await depot.unpin(signed.id);
  if (!fresh) return { kind: 'receipt', receipt };
  parts.above?.changed();
  const { client } = signed.manifest;
  parts.world.monitor.event({ kind: 'committed', client, snapshot: signed.id, bytes: arrival.receivedBytes });
  return { kind: 'receipt', receipt };
}

/** One receipt for ever: of two commits at the same time, both answer with the first one's. */
async function recordArrival(
  parts: CollectorParts,
  arrival: Arrival,
): Promise<{ receipt: Uint8Array; fresh: boolean }> {
  const { center, ledger, world } = parts;
  const { signed, receivedAt, receivedBytes, address } = arrival;
  return await ledger.transaction(async (db) => {
    const copy = await ownCopy(parts, db, signed.id);
    const phase = arrivedPhase(parts);
    if (copy?.phase === phase && copy.receipt !== null) return { receipt: copy.receipt, fresh: false };
    if (copy?.phase === 'void')
      throw new LowtideError('wrong-state', 'its owner has withdrawn this snapshot');
    if (copy === null) throw notOnOffer();
    const receipt = makeReceipt(parts, signed, receivedAt);
    const now = world.clock.now();
    const own = { snapshot: signed.id, center: center.id, receipt, arrivedAt: receivedAt };
    await markArrived(db, own, phase, now);
    if (phase === 'held') await setPackGroup(db, signed.id, SHARED_GROUP);
    await removeOffer(db, signed.id);
    await judgeForecast(db, signed.id, receivedAt);
    const details = { center: center.id, client: arrival.order.client, address };
    await appendHistory(db, signed.id, 'arrived', receivedAt, { ...details, bytes: receivedBytes });
    await appendHistory(db, signed.id, 'receipted', now, details);
    return { receipt, fresh: true };
  });
}

/** What was offered before its base: it waits for its turn like any other now. */
async function baseHasCome(parts: CollectorParts, base: SnapshotId): Promise<SnapshotId[]> {
  const { ledger, center, world } = parts;
  const leaning: SnapshotId[] = [];
  for (const offer of await offersLeaningOn(ledger.db, base)) {
    const copy = await ownCopy(parts, ledger.db, offer.snapshot);
    if (copy?.phase !== 'behind') continue;
    const waiting = { phase: 'waiting', code: '', until: null } as const;
    await setPhase(ledger.db, { snapshot: offer.snapshot, center: center.id, ...waiting }, world.clock.now());
    leaning.push(offer.snapshot);
  }
  return leaning;
}

async function knownReceipt(
  parts: CollectorParts,
  db: Database,
  snapshot: SnapshotId,
): Promise<Uint8Array | null> {
  const copy = await ownCopy(parts, db, snapshot);
  return copy?.phase === arrivedPhase(parts) ? copy.receipt : null;
}

/**
 * What its client must send yet. What every center above has need not come, unless the client frees on custody: then
 * what is in custody must be here. Pages of refs must be here always.
 */
async function missingHere(
  parts: CollectorParts,
  { signed, domains, order, custody }: Arrival,
  base: SignedManifest | null,
): Promise<readonly BlockId[]> {
  const { depot, above } = parts;
  const vouched = new Set<BlockId>();
  for (;;) {
    const { missing } = await depot.closure(signed, { base, domains, vouched });
    if (above === null || custody || missing.length === 0) return missing;
    const stored = await vouchedAbove(parts, signed.id, signed.manifest.client, missing);
    const needed = missing.filter((id) => !stored.has(id) || vouched.has(id));
    for (const id of needed) order.needed.add(id);
    if (needed.length > 0) return needed;
    for (const id of missing) vouched.add(id);
  }
}

const notOnOffer = (): LowtideError =>
  new LowtideError('wrong-state', 'this snapshot is not on offer any more');

export const baseUnknown = (): LowtideError =>
  new LowtideError('base-unknown', "the snapshot's base is not here: send a snapshot without base");

/** The base rule (DESIGN 4.6): a delta is closed only over a base that was receipted here and is still here. */
async function receiptedBase(parts: CollectorParts, signed: SignedManifest): Promise<SignedManifest | null> {
  const { base } = signed.manifest;
  if (base === null) return null;
  if (!(await isBaseHere(parts, base))) throw baseUnknown();
  return await parts.depot.manifest(base);
}

/** @param receivedAt when the last block was durable */
export function makeReceipt(
  parts: CollectorParts,
  { manifest, id }: SignedManifest,
  receivedAt: UnixMillis,
): Uint8Array {
  return signReceipt(
    {
      kind: parts.above === null ? 'center' : 'custody',
      snapshot: id,
      client: manifest.client,
      by: parts.center.id,
      refs: manifest.refs.id,
      blocks: manifest.refs.blocks,
      bytes: manifest.refs.bytes,
      receivedAt,
      verifiedAt: parts.world.clock.now(),
    },
    parts.receiptKey,
  );
}
