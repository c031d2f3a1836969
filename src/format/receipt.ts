import { bytesOfHex, hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId, CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { bytesOf, count, literal, record } from './shape.ts';
import {
  checkSignature,
  centerIdOf,
  parseRecord,
  type SignedRecord,
  type SigningKey,
  signRecord,
} from './signing.ts';

/**
 * A node's signed word about one snapshot (format F60). `center`: all blocks received, hashed, fsynced, found through
 * the durable index, closure checked, catalog committed. `custody`: a relay holds it and will pass it on. Not safe.
 */
export interface Receipt {
  readonly kind: 'center' | 'custody';
  readonly snapshot: SnapshotId;
  readonly client: ClientId;
  /** Who receipts: named by its receipt key. */
  readonly by: CenterId;
  readonly refs: BlockId;
  readonly blocks: number;
  readonly bytes: number;
  /** When the last block was durable. */
  readonly receivedAt: UnixMillis;
  /** When the closure was checked. */
  readonly verifiedAt: UnixMillis;
}

const bodyShape = record({
  format: literal(1),
  kind: literal('center', 'custody'),
  snapshot: bytesOf(32),
  client: bytesOf(16),
  by: bytesOf(16),
  refs: bytesOf(32),
  blocks: count,
  bytes: count,
  receivedAt: count,
  verifiedAt: count,
});

export function signReceipt(receipt: Receipt, key: SigningKey): Uint8Array {
  const body = encodeCbor({
    format: 1,
    ...receipt,
    snapshot: bytesOfHex(receipt.snapshot),
    client: bytesOfHex(receipt.client),
    by: bytesOfHex(receipt.by),
    refs: bytesOfHex(receipt.refs),
  });
  return signRecord('receipt', body, key);
}

/** Reads a receipt without trusting it. @throws LowtideError `damaged-receipt`, `newer-format` */
export function parseReceipt(bytes: Uint8Array): {
  readonly receipt: Receipt;
  readonly record: SignedRecord;
} {
  const record = parseRecord('receipt', bytes, 'damaged-receipt');
  const { format, ...body } = decodeCbor(record.body, bodyShape, 'damaged-receipt', 'the receipt');
  void format;
  const receipt: Receipt = {
    ...body,
    snapshot: hexOf(body.snapshot) as SnapshotId,
    client: hexOf(body.client) as ClientId,
    by: hexOf(body.by) as CenterId,
    refs: hexOf(body.refs) as BlockId,
  };
  return { receipt, record };
}

/**
 * The receipt, if it is signed by the key that its `by` names and that the caller trusts.
 * @throws LowtideError `damaged-receipt`, `wrong-signature`, `newer-format`
 */
export function openReceipt(bytes: Uint8Array, trustedKey: Uint8Array): Receipt {
  const { receipt, record } = parseReceipt(bytes);
  checkSignature('receipt', record, trustedKey);
  if (receipt.by !== centerIdOf(trustedKey)) {
    throw new LowtideError('wrong-signature', 'the receipt names another center than the one that signed it');
  }
  return receipt;
}
