import { parseManifest, type SignedManifest } from '../format/manifest.ts';
import { signReceipt } from '../format/receipt.ts';
import { findCopy, markSafe, setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { findOffer, type Offer, offersLeaningOn, removeOffer } from '../ledger/offers.ts';
import type { Database } from '../ledger/ledger.ts';
import { LowtideError } from '../model/errors.ts';
import type { DomainKeyId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { CommitAnswer } from '../protocol/center-api.ts';
import type { Collector } from './collector.ts';
import type { ActiveOrder } from './order-book.ts';
import type { CollectorParts } from './parts.ts';

/** Who commits. */
export interface Committer {
  readonly order: ActiveOrder;
  readonly domains: ReadonlySet<DomainKeyId>;
  readonly address: string | null;
}

interface Arrival {
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
      receivedAt: from.order.durableAt ?? world.clock.now(),
      receivedBytes: offer.received,
    });
    if (answer.kind === 'missing') return answer;
    receipt = answer.receipt;
  }
  if (receipt === null) throw new LowtideError('wrong-state', 'this snapshot is not on offer any more');
  if (from !== null) collector.endOrder(from.order, 'committed', '');
  // Also if the order had ended already: nobody shall be ordered to send this again.
  collector.tell({ kind: 'withdrawn', snapshot });
  for (const leaning of await baseHasCome(parts, snapshot)) collector.queue(leaning);
  return { kind: 'receipt', receipt };
}

/**
 * Closes a snapshot (SEED fig. 5, S5): pins its blocks by a durable intent, checks the closure through the durable
 * index, puts the manifest (the commit point), then the receipt into the ledger, and only then answers.
 */
async function commitSnapshot(parts: CollectorParts, arrival: Arrival): Promise<CommitAnswer> {
  const { depot } = parts;
  const { signed, domains } = arrival;
  const known = await knownReceipt(parts, parts.ledger.db, signed.id);
  if (known !== null) return { kind: 'receipt', receipt: known };
  const base = await receiptedBase(parts, signed);
  await depot.pin(signed.id, signed.manifest.refs);
  const closure = await depot.closure(signed, { base, domains });
  if (closure.missing.length > 0) return { kind: 'missing', missing: closure.missing };
  await depot.putManifest(signed);
  const { receipt, fresh } = await recordArrival(parts, arrival);
  await depot.unpin(signed.id);
  if (!fresh) return { kind: 'receipt', receipt };
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
    const copy = await findCopy(db, signed.id, center.id);
    if (copy?.phase === 'safe' && copy.receipt !== null) return { receipt: copy.receipt, fresh: false };
    if (copy?.phase === 'void')
      throw new LowtideError('wrong-state', 'its owner has withdrawn this snapshot');
    const receipt = makeReceipt(parts, arrival);
    const now = world.clock.now();
    await markSafe(db, { snapshot: signed.id, center: center.id, receipt, arrivedAt: receivedAt }, now);
    await removeOffer(db, signed.id);
    const details = { center: center.id, client: signed.manifest.client, address };
    await appendHistory(db, signed.id, 'arrived', receivedAt, { ...details, bytes: receivedBytes });
    await appendHistory(db, signed.id, 'receipted', now, details);
    return { receipt, fresh: true };
  });
}

/** What was offered before its base: it waits for its turn like any other now. */
async function baseHasCome({ ledger, center, world }: CollectorParts, base: SnapshotId): Promise<Offer[]> {
  const leaning: Offer[] = [];
  for (const offer of await offersLeaningOn(ledger.db, base)) {
    const copy = await findCopy(ledger.db, offer.snapshot, center.id);
    if (copy?.phase !== 'behind') continue;
    const waiting = { phase: 'waiting', code: '', until: null } as const;
    await setPhase(ledger.db, { snapshot: offer.snapshot, center: center.id, ...waiting }, world.clock.now());
    leaning.push(offer);
  }
  return leaning;
}

async function knownReceipt(
  parts: CollectorParts,
  db: Database,
  snapshot: SnapshotId,
): Promise<Uint8Array | null> {
  const copy = await findCopy(db, snapshot, parts.center.id);
  return copy?.phase === 'safe' ? copy.receipt : null;
}

/** The base rule (DESIGN 4.6): a delta is closed only over a base that was receipted here and is still here. */
async function receiptedBase(parts: CollectorParts, signed: SignedManifest): Promise<SignedManifest | null> {
  const { base } = signed.manifest;
  if (base === null) return null;
  const receipted =
    (await knownReceipt(parts, parts.ledger.db, base)) !== null && (await parts.depot.hasManifest(base));
  if (!receipted)
    throw new LowtideError('base-unknown', "the snapshot's base is not here: send a snapshot without base");
  return await parts.depot.manifest(base);
}

function makeReceipt(parts: CollectorParts, arrival: Arrival): Uint8Array {
  const { manifest, id } = arrival.signed;
  return signReceipt(
    {
      kind: 'center',
      snapshot: id,
      client: manifest.client,
      by: parts.center.id,
      refs: manifest.refs.id,
      blocks: manifest.refs.blocks,
      bytes: manifest.refs.bytes,
      receivedAt: arrival.receivedAt,
      verifiedAt: parts.world.clock.now(),
    },
    parts.receiptKey,
  );
}
