import { blocksNewIn } from '../depot/refs-pages.ts';
import type { SealedBlock } from '../format/block.ts';
import { openReceipt } from '../format/receipt.ts';
import { findCopy, markSafe } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { LowtideError } from '../model/errors.ts';
import type { Order } from '../model/exchange.ts';
import { type BlockId, shortId, type SnapshotId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { UplinkParts } from './parts.ts';

/** How often a commit may name blocks that are missing before the order is given up. */
const COMMIT_ROUNDS = 5;

/**
 * Carries out one order (SEED 112, fig. 7): asks what the center lacks of refs(S) minus refs(base), sends that in order
 * of first use, commits, and stores the receipt. Resuming needs no offsets: what arrived before is not asked for again.
 */
export async function sendSnapshot(
  parts: UplinkParts,
  api: CenterApi,
  order: Order & { kind: 'send' },
  stop: AbortSignal,
): Promise<void> {
  const { world, depot, center } = parts;
  const { snapshot } = order;
  const signed = await depot.manifest(snapshot);
  const { base } = signed.manifest;
  const owed = blocksNewIn(depot, world.limits, signed, base === null ? null : await depot.manifest(base));
  let bytes = 0;
  for await (const ids of idBatches(owed, world.limits.ids_per_message)) {
    if (stop.aborted) return;
    bytes += await sendMissing(parts, api, order, ids, stop);
  }
  if (stop.aborted) return;
  world.monitor.event({ kind: 'sent', snapshot, center: center.id, order: order.order, bytes });
  await commit(parts, api, order, stop);
}

async function commit(
  parts: UplinkParts,
  api: CenterApi,
  order: Order & { kind: 'send' },
  stop: AbortSignal,
): Promise<void> {
  for (let round = 0; round < COMMIT_ROUNDS; round++) {
    const answer = await api.commit(order.order);
    if (answer.kind === 'receipt') return storeReceipt(parts, order.snapshot, answer.receipt);
    await sendMissing(parts, api, order, answer.missing, stop);
  }
  throw new LowtideError(
    'wrong-state',
    `the center keeps missing blocks of snapshot ${shortId(order.snapshot)}`,
  );
}

/** Answers the bytes sent. */
async function sendMissing(
  parts: UplinkParts,
  api: CenterApi,
  order: Order & { kind: 'send' },
  ids: readonly BlockId[],
  stop: AbortSignal,
): Promise<number> {
  const missing = await api.missing(order.order, ids);
  if (missing.length === 0) return 0;
  const sent = { bytes: 0 };
  const awaited = new Set(missing);
  for await (const durable of api.blocks(order.order, blocksToSend(parts, missing, stop, sent))) {
    for (const id of durable) awaited.delete(id);
  }
  if (awaited.size > 0 && !stop.aborted) {
    throw new LowtideError(
      'order-ended',
      'the center took only a part of what was sent: go on in the next order',
    );
  }
  return sent.bytes;
}

/** A block that the own spool cannot give ends the order: it must be repaired or the snapshot voided. */
async function* blocksToSend(
  parts: UplinkParts,
  ids: readonly BlockId[],
  stop: AbortSignal,
  sent: { bytes: number },
): AsyncGenerator<SealedBlock> {
  for await (const read of parts.depot.read(ids, stop)) {
    if ('error' in read) throw read.error;
    sent.bytes += read.bytes.length;
    yield read;
  }
}

/** Nothing is safe before this: the receipt must be signed by the key that the token or the operator named. */
export async function storeReceipt(
  parts: UplinkParts,
  snapshot: SnapshotId,
  bytes: Uint8Array,
): Promise<void> {
  const { ledger, center, world } = parts;
  const receipt = openReceipt(bytes, center.receiptKey);
  if (receipt.snapshot !== snapshot || receipt.kind !== 'center') {
    throw new LowtideError(
      'damaged-receipt',
      `the receipt is not a center's for snapshot ${shortId(snapshot)}`,
    );
  }
  if ((await findCopy(ledger.db, snapshot, center.id))?.phase === 'safe') return;
  const now = world.clock.now();
  await ledger.transaction(async (db) => {
    const arrivedAt = receipt.receivedAt;
    await markSafe(db, { snapshot, center: center.id, receipt: bytes, arrivedAt }, now);
    await appendHistory(db, snapshot, 'arrived', arrivedAt, { center: center.id, bytes: receipt.bytes });
    await appendHistory(db, snapshot, 'receipted', now, { center: center.id });
  });
  world.monitor.event({ kind: 'receipted', snapshot, center: center.id, receipt: 'center' });
  parts.onReceipt();
}

async function* idBatches(
  source: AsyncIterable<readonly { id: BlockId }[]>,
  size: number,
): AsyncGenerator<BlockId[]> {
  let batch: BlockId[] = [];
  for await (const refs of source) {
    for (const { id } of refs) {
      batch.push(id);
      if (batch.length === size) {
        yield batch;
        batch = [];
      }
    }
  }
  if (batch.length > 0) yield batch;
}
