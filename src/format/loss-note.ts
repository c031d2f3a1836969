import { bytesOfHex, hexOf } from '../model/bytes.ts';
import type { SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { openUnder, sealUnder } from './domain-box.ts';
import type { DomainKeys, KeyStore } from './domain-keys.ts';
import { bytesOf, count, record, textUpTo } from './shape.ts';

/** What a machine keeps of a snapshot that a relay has lost, for its owner only (format F93). */
export interface LossNote {
  readonly snapshot: SnapshotId;
  /** Name of the relay. */
  readonly holder: string;
  /** When the machine heard of it. */
  readonly at: UnixMillis;
}

const CONTEXT = 'lowtide/loss/1';

const shape = record({ snapshot: bytesOf(32), holder: textUpTo(1000), at: count });

export function sealLossNote(keys: DomainKeys, { snapshot, holder, at }: LossNote): Uint8Array {
  return sealUnder(keys, CONTEXT, encodeCbor({ snapshot: bytesOfHex(snapshot), holder, at }));
}

/** @throws LowtideError `no-key`, `damaged-manifest` */
export function openLossNote(keys: KeyStore, bytes: Uint8Array): LossNote {
  const what = 'the note of a loss';
  const note = decodeCbor(openUnder(keys, CONTEXT, bytes, what), shape, 'damaged-manifest', what);
  return { ...note, snapshot: hexOf(note.snapshot) as SnapshotId };
}
