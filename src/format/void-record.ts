import { bytesOfHex, hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterId, ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { bytesOf, count, listOf, literal, record, textUpTo, where } from './shape.ts';
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
  /** Where it is closed, sorted (format F48). Absent from records of before: wherever they are shown. */
  readonly centers?: readonly CenterId[];
}

/** So many centers may be named. */
const CENTERS_MAX = 100;

const centersShape = where(
  listOf(bytesOf(16), { min: 1, max: CENTERS_MAX }),
  (ids) => ids.every((id, at) => at === 0 || Buffer.compare(ids[at - 1]!, id) < 0),
  'must be sorted',
);
const bodyShape = record(
  {
    format: literal(1),
    client: bytesOf(16),
    instance: bytesOf(16),
    snapshot: bytesOf(32),
    reason: textUpTo(1000),
    at: count,
  },
  { centers: centersShape },
);

/** Whether its owner has closed the snapshot at `center`. */
export function closesAt({ centers }: Pick<VoidRecord, 'centers'>, center: CenterId): boolean {
  return centers === undefined || centers.includes(center);
}

export function signVoid(record: VoidRecord, key: SigningKey): Uint8Array {
  const body = encodeCbor({
    format: 1,
    ...record,
    client: bytesOfHex(record.client),
    instance: bytesOfHex(record.instance),
    snapshot: bytesOfHex(record.snapshot),
    ...(record.centers !== undefined && { centers: record.centers.map(bytesOfHex) }),
  });
  return signRecord('void', body, key);
}

/** Reads a void record without trusting it. @throws LowtideError `damaged-manifest`, `newer-format` */
export function parseVoid(bytes: Uint8Array): {
  readonly voidRecord: VoidRecord;
  readonly record: SignedRecord;
} {
  const record = parseRecord('void', bytes, 'damaged-manifest');
  const decoded = decodeCbor(record.body, bodyShape, 'damaged-manifest', 'the void record');
  const { format, centers, ...body } = decoded;
  void format;
  const voidRecord: VoidRecord = {
    ...body,
    client: hexOf(body.client) as ClientId,
    instance: hexOf(body.instance) as InstanceId,
    snapshot: hexOf(body.snapshot) as SnapshotId,
    ...(centers !== undefined && { centers: centers.map((id) => hexOf(id) as CenterId) }),
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
