import { z } from 'zod';
import { bytesOfHex, hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { bytesOf, count, decodeCbor, encodeCbor } from './cbor.ts';
import {
  checkSignature,
  instanceIdOf,
  parseRecord,
  type SignedRecord,
  type SigningKey,
  signRecord,
} from './signing.ts';

/** Closes a snapshot that can never be collected, for example because its spool was lost (format F47). */
export interface VoidRecord {
  readonly client: ClientId;
  readonly instance: InstanceId;
  readonly snapshot: SnapshotId;
  readonly reason: string;
  readonly at: UnixMillis;
}

const bodyShape = z.strictObject({
  format: z.literal(1),
  client: bytesOf(16),
  instance: bytesOf(16),
  snapshot: bytesOf(32),
  reason: z.string().max(1000),
  at: count,
});

export function signVoid(record: VoidRecord, key: SigningKey): Uint8Array {
  const body = encodeCbor({
    format: 1,
    ...record,
    client: bytesOfHex(record.client),
    instance: bytesOfHex(record.instance),
    snapshot: bytesOfHex(record.snapshot),
  });
  return signRecord('void', body, key);
}

/** Reads a void record without trusting it. @throws LowtideError `damaged-manifest`, `newer-format` */
export function parseVoid(bytes: Uint8Array): {
  readonly voidRecord: VoidRecord;
  readonly record: SignedRecord;
} {
  const record = parseRecord('void', bytes, 'damaged-manifest');
  const { format, ...body } = decodeCbor(record.body, bodyShape, 'damaged-manifest', 'the void record');
  void format;
  const voidRecord: VoidRecord = {
    ...body,
    client: hexOf(body.client) as ClientId,
    instance: hexOf(body.instance) as InstanceId,
    snapshot: hexOf(body.snapshot) as SnapshotId,
  };
  return { voidRecord, record };
}

/** @throws LowtideError `damaged-manifest`, `wrong-signature`, `newer-format` */
export function openVoid(bytes: Uint8Array, instanceKey: Uint8Array): VoidRecord {
  const { voidRecord, record } = parseVoid(bytes);
  checkSignature('void', record, instanceKey);
  if (voidRecord.instance !== instanceIdOf(instanceKey)) {
    throw new LowtideError(
      'wrong-signature',
      'the void record names another instance than the one that signed it',
    );
  }
  return voidRecord;
}
