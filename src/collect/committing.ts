import type { SignedManifest } from '../format/manifest.ts';
import { signReceipt } from '../format/receipt.ts';
import { findCopy, markSafe } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { removeOffer } from '../ledger/offers.ts';
import type { Database } from '../ledger/ledger.ts';
import { LowtideError } from '../model/errors.ts';
import type { DomainKeyId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { CommitAnswer } from '../protocol/center-api.ts';
import type { CollectorParts } from './parts.ts';

export interface Arrival {
  readonly signed: SignedManifest;
  readonly domains: ReadonlySet<DomainKeyId>;
  readonly address: string | null;
  /** When the last block was durable. */
  readonly receivedAt: UnixMillis;
  readonly receivedBytes: number;
}

/**
 * Closes a snapshot (SEED fig. 5, S5): pins its blocks by a durable intent, checks the closure through the durable
 * index, puts the manifest (the commit point), then the receipt into the ledger, and only then answers.
 */
export async function commitSnapshot(parts: CollectorParts, arrival: Arrival): Promise<CommitAnswer> {
  const { depot } = parts;
  const { signed, domains } = arrival;
  const known = await knownReceipt(parts, parts.ledger.db, signed.id);
  if (known !== null) return { kind: 'receipt', receipt: known };
  const base = await receiptedBase(parts, signed);
  await depot.pin(signed.id, signed.manifest.refs);
  const closure = await depot.closure(signed, { base, domains });
  if (closure.missing.length > 0) return { kind: 'missing', missing: closure.missing };
  await depot.putManifest(signed);
  const receipt = await recordArrival(parts, arrival);
  await depot.unpin(signed.id);
  const { client } = signed.manifest;
  parts.world.monitor.event({ kind: 'committed', client, snapshot: signed.id, bytes: arrival.receivedBytes });
  return { kind: 'receipt', receipt };
}

/** One receipt for ever: of two commits at the same time, both answer with the first one's. */
async function recordArrival(parts: CollectorParts, arrival: Arrival): Promise<Uint8Array> {
  const { center, ledger, world } = parts;
  const { signed, receivedAt, receivedBytes, address } = arrival;
  return await ledger.transaction(async (db) => {
    const known = await knownReceipt(parts, db, signed.id);
    if (known !== null) return known;
    const receipt = makeReceipt(parts, arrival);
    const now = world.clock.now();
    await markSafe(db, { snapshot: signed.id, center: center.id, receipt, arrivedAt: receivedAt }, now);
    await removeOffer(db, signed.id);
    const details = { center: center.id, client: signed.manifest.client, address };
    await appendHistory(db, signed.id, 'arrived', receivedAt, { ...details, bytes: receivedBytes });
    await appendHistory(db, signed.id, 'receipted', now, details);
    return receipt;
  });
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
